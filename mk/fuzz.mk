# Fuzzing. `make fuzz FUZZ_SECONDS=60` runs every target for that long, with clang's libFuzzer and
# sanitizers; `make check` replays the seeds and all that ever crashed (crashers/TARGET/), with any
# compiler. What a run finds goes to $(B)/fuzz/found/; a crasher belongs into crashers/ once it is mended.

FUZZ_SECONDS = 60
fuzz_parsers  = tokens shards model state config text gzip
fuzz_programs = resume init sample evalloss
fuzz_plain    = $(fuzz_parsers) $(fuzz_programs)
fuzz_nocrc    = $(addsuffix -nocrc,tokens shards model state $(fuzz_programs))
fuzz_targets  = $(fuzz_plain) $(fuzz_nocrc)
replays      = $(fuzz_targets:%=$(B)/tests/fuzz/replay_%)
corpus       = $(B)/fuzz/seeds
fuzz_parent  = $(B)/fuzz/build

# The source of a target, the CRCs of those that have none, and the program of those that run one: its
# objects, main() under another name.
fuzz_source  = $(1:%-nocrc=%)
fuzz_program = $(if $(filter $(fuzz_programs),$(fuzz_source)),$(or $(program_of_$(fuzz_source)),$(fuzz_source)))
program_of_resume = train
program_of_init   = train
program_obj  = $(B)/tests/fuzz/fuzz_program.o $(B)/tests/fuzz/main_$1.o \
               $(patsubst %,$(B)/tools/$1/%.o,$($1_src)) $(B)/libtools.a
fuzz_extra   = $(if $(filter %-nocrc,$1),$(B)/tests/fuzz/no_crc.o) \
               $(if $(fuzz_program),$(call program_obj,$(fuzz_program)))

define fuzz_rule
$(B)/tests/fuzz/replay_$1: $(B)/tests/fuzz/replay.o $(B)/tests/fuzz/fuzz_$(call fuzz_source,$1).o \
		$(call fuzz_extra,$1) $(B)/libinner.a
	$$(LINK) -o $$@ $$^ $$(libraries)
$(B)/fuzz/fuzz_$1: $(B)/tests/fuzz/fuzz_$(call fuzz_source,$1).o $(call fuzz_extra,$1) \
		$(B)/libinner.a
	$$(LINK) -fsanitize=fuzzer -o $$@ $$^ $$(libraries)
endef
$(foreach t,$(fuzz_targets),$(eval $(call fuzz_rule,$t)))
$(fuzz_programs:%=$(B)/tests/fuzz/fuzz_%.o) $(B)/tests/fuzz/fuzz_program.o: \
		all_flags += -DFUZZ_CORPUS='"$(abspath $(corpus))"'
define main_rule
$(B)/tests/fuzz/main_$1.o: tools/$1/$1.c $(B)/flags
	$$(call compile,CC,$$(CC) $$(all_flags) -Wno-missing-prototypes -Dmain=program_main)
endef
$(foreach t,train sample evalloss,$(eval $(call main_rule,$t)))
.SECONDARY: $(fuzz_plain:%=$(B)/tests/fuzz/fuzz_%.o) $(B)/tests/fuzz/replay.o $(B)/tests/fuzz/no_crc.o

$(corpus): tests/fuzz/seeds.py tests/tools/lies.py $(wildcard tests/golden/*/*) | $(bin)/train
	@rm -rf $@ && $(PYTHON) tests/fuzz/seeds.py $@ $(abspath $(bin)/train)

check check-long: $(replays) $(corpus)

.PHONY: fuzz fuzzers
fuzz: ## every parser, and programs from end to end, under libFuzzer, FUZZ_SECONDS each
fuzz: $(corpus)
	@if ! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' | \
		clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null; then \
		echo "fuzz: SKIPPED: no clang with libFuzzer here (./bootstrap installs it)" >&2; \
	else $(MAKE) --no-print-directory CC=clang SANITIZE=address,undefined \
		CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' B=$(fuzz_parent) bin=$(fuzz_parent)/bin \
		corpus='$(corpus)' fuzzers && \
		tests/fuzz/run.sh $(FUZZ_SECONDS) $(fuzz_parent)/fuzz $(corpus) $(B)/fuzz/found \
		$(fuzz_targets); fi

fuzzers: $(fuzz_targets:%=$(B)/fuzz/fuzz_%)
