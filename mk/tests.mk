# Tests: cmocka's under tests/unit, shell scripts under tests/ and tests/tools, those that take long
# under tests/long. Sanitizers and coverage are builds of their own.

unit_programs = $(unit_tests:%=$(B)/tests/unit/test_%)
test_obj      = $(test_src:%.c=$(B)/%.o)
scripts       = $(wildcard tests/*.t tests/tools/*.t)
long_scripts  = $(wildcard tests/long/*.t)
# What a test may ask for; that of the GPU asks for its plug-in itself, and all others compute on
# the CPU even where there is one. UBSan and ASan end a program with a status that no test expects.
test_env = BIN='$(abspath $(bin))' B='$(abspath $(B))' PYTHON='$(PYTHON)' SANITIZE='$(SANITIZE)' \
           CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C.UTF-8 UBSAN_OPTIONS=print_stacktrace=1 \
           CHARPIPE_PLUGIN_DIR=/nonexistent

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(test_obj) $(B)/libinner.a
	$(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(libraries)

# It sees what others see.
$(B)/tests/unit/test_charpipe: $(B)/tests/unit/test_charpipe.o $(B)/libcharpipe.a
	$(LINK) -o $@ $^ -lcmocka $(libraries)

# test_faults.c stands between the programs and the C library, to refuse what is asked for.
wrapped = malloc calloc realloc strdup asprintf open_memstream fclose open64 read pread64 write close \
          fsync fallocate64 fstat64 faccessat fchmod fchown linkat rename pthread_create inflate \
          inflateInit2_ deflateInit2_ yaml_parser_initialize yaml_parser_parse input_read \
          input_read_full input_peek output_write output_reserve spool_write spool_read \
          json_loadb json_loads fopen64 sched_getaffinity __sched_cpualloc
$(B)/tests/unit/test_faults: libraries += $(wrapped:%=-Wl,--wrap=%)

# The network between hosts that one machine plays.
wire = $(B)/tests/hosts/wire
$(wire): $(wire).o
	$(LINK) -o $@ $^

.SECONDARY: $(unit_programs:%=%.o) $(test_obj)

.PHONY: check check-unit check-long documents
check: ## every test but the long ones
check: all $(unit_programs)
	@$(test_env) $(PROVE) -e '' $(unit_programs) $(emulated) $(scripts)

documents: ## writes what commands print into the pages that show it
documents: all
	@$(test_env) UPDATE=--update tests/tools/docs.t

check-unit: ## the unit tests alone
check-unit: $(unit_programs)
	@$(test_env) $(PROVE) -e '' $(unit_programs)

check-long: ## the long tests too, and FUZZ_SECONDS (60) of each fuzz target: some 20 minutes
check-long: all $(unit_programs) $(wire)
	@$(test_env) $(PROVE) -e '' $(unit_programs) $(emulated) $(scripts) $(long_scripts)
	@$(MAKE) --no-print-directory fuzz

# A build of its own for each sanitizer; threads only where there are any.
threaded_tests = pool ops model charpipe
.PHONY: sanitize sanitize-threads check-races
sanitize: ## the tests under ASan and UBSan, those with threads under TSan
sanitize: sanitize-threads
	@$(MAKE) --no-print-directory SANITIZE=address,undefined CFLAGS='-O1 -g' B=$(B)/asan \
		bin=$(B)/asan/bin check

sanitize-threads:
	@$(MAKE) --no-print-directory SANITIZE=thread CFLAGS='-O1 -g' B=$(B)/tsan \
		bin=$(B)/tsan/bin unit_tests='$(threaded_tests)' mpi check-unit check-races

# Where SANITIZE is thread.
check-races: mpi
	@$(test_env) $(PROVE) -e '' tests/tools/races.t

# --- coverage -----------------------------------------------------------------------------------

# Of what reads and writes files: by the unit tests alone, as a program that is killed leaves no
# counts, or half of them. No line and no branch is excluded.
coverage_limit   = 95
coverage_sources = $(base_src:%=lib/base/%.c) $(formats_src:%=formats/%.c)
coverage_tests   = $(filter-out params kernels ops model tree adam sampler,$(unit_tests))
.PHONY: coverage
coverage: ## what the unit tests run of formats/ and lib/base: lines, branches
coverage:
	@find $(B)/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory CFLAGS='-O0 -g --coverage -DNDEBUG -Wno-unused' \
		LDFLAGS=--coverage B=$(B)/coverage bin=$(B)/coverage/bin \
		unit_tests='$(coverage_tests)' check-unit
	@tests/coverage.sh $(coverage_limit) $(B)/coverage $(coverage_sources)
