# charpipe. `make help` lists the targets; README.md says what it is for.
#
# One variable per choice, to be set on the command line:
#     make CC=clang SANITIZE=address,undefined B=build/asan bin=build/asan/bin

CC       = gcc
CFLAGS   = -O2 -g
LDFLAGS  =
SANITIZE =
PREFIX   = /usr/local
DESTDIR  =
B        = build
bin      = bin
PKG_CONFIG = pkg-config
PYTHON   = /usr/bin/python3
PROVE    = prove -j2

VERSION  = 0.1.0
TOOLS    = tokenize batchify train sample evalloss inspect
LIBS     = openblas zlib yaml-0.1 jansson

# What `make` alone makes, whatever stands first below.
.DEFAULT_GOAL = all

# --- sources ------------------------------------------------------------------------------------

base_src    = error memory input output spool option utf8 pool
nn_src      = params model lstm adam sampler
cpu_src     = cpu
formats_src = symbols yaml vocab vocab_file text stream tokens shards safetensors model_file state_file \
              config
lib_src     = $(base_src:%=lib/base/%.c) $(nn_src:%=lib/nn/%.c) $(cpu_src:%=lib/cpu/%.c) \
              $(formats_src:%=formats/%.c)
tool_src    = tools/tool.c tools/device.c tools/network.c tools/encode.c tools/reader.c \
              tools/table.c
train_src   = checkpoint log run signals
sample_src  = context draw interactive stop
evalloss_src = chars heat html lines rows score view whole
format_pages = $(patsubst formats/%.md,%,$(filter-out %SECURITY.md,$(sort $(wildcard formats/*.md))))
test_src    = tests/unit/reference.c

# lib/cpu/kernels.c is compiled once for each vector width; cpu.c chooses at run time.
machine := $(shell $(CC) -dumpmachine)
ifneq ($(filter x86_64-%,$(machine)),)
kernels = avx512 avx2 generic
else
kernels = generic
endif
kernel_flags_avx2    = -mavx2 -mfma -mf16c
kernel_flags_avx512  = $(kernel_flags_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl \
                       -mprefer-vector-width=512
kernel_flags_generic =
kernel_obj = $(kernels:%=$(B)/lib/cpu/kernels-%.o)

unit_tests = error memory input output spool option utf8 pool philox params kernels ops model \
             adam sampler symbols yaml vocab text stream tokens shards safetensors state_file \
             model_file config faults

# --- flags --------------------------------------------------------------------------------------

warnings = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla
ifneq ($(SANITIZE),)
hardening  = -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
link_flags = -fsanitize=$(SANITIZE)
else
hardening  = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
link_flags = -pie -Wl,-z,relro,-z,now -Wl,--as-needed
endif
# Sums must round the same way in every build: no contraction, no fast-math.
language  = -std=gnu11 -ffp-contract=off -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
            -DCHARPIPE_VERSION='"$(VERSION)"' -I. -Ilib -pthread
pkg_flags = $(shell $(PKG_CONFIG) --cflags $(LIBS) cmocka 2>/dev/null)
pkg_libs := $(shell $(PKG_CONFIG) --libs $(LIBS) 2>/dev/null)
all_flags := $(language) $(pkg_flags) $(warnings) $(hardening) $(CFLAGS)
libraries = $(pkg_libs) -lm -ldl -pthread

COMPILE = @mkdir -p $(@D) && echo "CC $@" && $(CC) $(all_flags) -MMD -MP
LINK    = @mkdir -p $(@D) && echo "LD $@" && $(CC) $(hardening) $(CFLAGS) $(link_flags) $(LDFLAGS)

# Goals that compile need the libraries, and a stamp that makes other flags rebuild everything.
ifneq ($(filter-out help clean uninstall format,$(or $(MAKECMDGOALS),all)),)
missing := $(foreach l,$(LIBS),$(if $(shell $(PKG_CONFIG) --exists $l 2>&1 || echo no),$l))
ifneq ($(strip $(missing)),)
$(error $(PKG_CONFIG) finds no $(strip $(missing)): ./bootstrap installs what is missing)
endif
stamp := $(CC) $(all_flags) $(link_flags) $(LDFLAGS) $(libraries)
ifneq ($(file <$(B)/flags),$(stamp))
$(shell mkdir -p $(B))
$(file >$(B)/flags,$(stamp))
endif
endif

# --- programs -----------------------------------------------------------------------------------

.PHONY: all
all: ## the programs, into bin/, and their man pages (the default)
all: $(TOOLS:%=$(bin)/%) $(TOOLS:%=$(B)/man/%.1) $(format_pages:%=$(B)/man/charpipe-%.5)

tool_obj = $(patsubst %,$(B)/tools/$1/%.o,$1 $($1_src))
$(foreach t,$(TOOLS),$(eval $(bin)/$t: $(call tool_obj,$t)))

$(TOOLS:%=$(bin)/%): $(B)/libtools.a $(B)/libcharpipe.a
	$(LINK) -o $@ $(filter %.o,$^) $(B)/libtools.a $(B)/libcharpipe.a $(libraries)

# An archive, so that a program has no more than it needs: tokenize loads no OpenBLAS.
$(B)/libtools.a: $(tool_src:%.c=$(B)/%.o)
	@rm -f $@
	@$(AR) rcs $@ $^

$(B)/libcharpipe.a: $(lib_src:%.c=$(B)/%.o) $(kernel_obj)
	@rm -f $@
	@$(AR) rcs $@ $^

$(B)/%.o: %.c $(B)/flags
	$(COMPILE) -c -o $@ $<

# The loops over every character of a text: gcc makes vector code of them at -O3.
$(B)/formats/vocab.o $(B)/formats/text.o: all_flags := $(all_flags:-O2=-O3)

$(B)/lib/cpu/cpu.o: all_flags += $(kernels:%=-DKERNELS_%)

$(kernel_obj): $(B)/lib/cpu/kernels-%.o: lib/cpu/kernels.c $(B)/flags
	$(COMPILE) $(kernel_flags_$*) -DKERNELS=$* -c -o $@ $<

$(B)/flags: ;

# A man page is its source with the option table in the place of its OPTIONS line.
$(foreach t,$(TOOLS),$(eval $(B)/man/$t.1: tools/$t/$t.1))
$(B)/man/%.1: $(bin)/%
	@mkdir -p $(@D)
	@$< --options-as man > $@.options
	@sed -e '/^\.\\" OPTIONS$$/{r $@.options' -e 'd;}' tools/$*/$*.1 > $@.tmp
	@rm -f $@.options && mv $@.tmp $@

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: demo
demo: ## a minute of training on the project's own sources, and what it then writes
demo: all
	@$(MAKE) --no-print-directory -C examples/self BIN='$(abspath $(bin))'

# --- tests --------------------------------------------------------------------------------------

include tests/fuzz/fuzz.mk

unit_programs = $(unit_tests:%=$(B)/tests/unit/test_%)
test_obj      = $(test_src:%.c=$(B)/%.o)
scripts       = $(wildcard tests/*.t tests/tools/*.t)
long_scripts  = $(wildcard tests/long/*.t)
# What a test may ask for; that of the GPU asks for its plug-in itself, and all others compute on
# the CPU even where there is one. UBSan and ASan end a program with a status that no test expects.
test_env = BIN='$(abspath $(bin))' B='$(abspath $(B))' PYTHON='$(PYTHON)' SANITIZE='$(SANITIZE)' \
           CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C.UTF-8 UBSAN_OPTIONS=print_stacktrace=1 \
           CHARPIPE_PLUGIN_DIR=/nonexistent

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(test_obj) $(B)/libcharpipe.a
	$(LINK) -o $@ $(filter %.o,$^) $(B)/libcharpipe.a -lcmocka $(libraries)

# test_faults.c stands between the programs and the C library, to refuse what is asked for.
wrapped = malloc calloc realloc strdup asprintf open_memstream fclose open64 read pread64 write close \
          fsync fallocate64 fstat64 faccessat fchmod fchown linkat rename pthread_create inflate \
          inflateInit2_ deflateInit2_ yaml_parser_initialize yaml_parser_parse input_read \
          input_read_full input_peek output_write output_reserve spool_write spool_read \
          json_load_callback json_loads fopen64 sched_getaffinity __sched_cpualloc
$(B)/tests/unit/test_faults: libraries += $(wrapped:%=-Wl,--wrap=%)

.SECONDARY: $(unit_programs:%=%.o) $(test_obj)

.PHONY: check check-unit check-long documents
check: ## every test but the long ones
check: all $(unit_programs) $(replays) $(corpus)
	@$(test_env) $(PROVE) -e '' $(unit_programs) $(emulated) $(scripts)

documents: ## writes what commands print into the pages that show it
documents: all
	@$(test_env) UPDATE=--update tests/tools/docs.t

check-unit: ## the unit tests alone
check-unit: $(unit_programs)
	@$(test_env) $(PROVE) -e '' $(unit_programs)

check-long: ## the long tests too, and FUZZ_SECONDS (60) of each fuzz target: some 20 minutes
check-long: all $(unit_programs) $(replays) $(corpus)
	@$(test_env) $(PROVE) -e '' $(unit_programs) $(emulated) $(scripts) $(long_scripts)
	@$(MAKE) --no-print-directory fuzz

# A build of its own for each sanitizer; threads only where there are any.
threaded_tests = pool ops model
.PHONY: sanitize sanitize-threads
sanitize: ## the tests under ASan and UBSan, those with threads under TSan
sanitize: sanitize-threads
	@$(MAKE) --no-print-directory SANITIZE=address,undefined CFLAGS='-O1 -g' B=$(B)/asan \
		bin=$(B)/asan/bin check

sanitize-threads:
	@$(MAKE) --no-print-directory SANITIZE=thread CFLAGS='-O1 -g' B=$(B)/tsan \
		bin=$(B)/tsan/bin unit_tests='$(threaded_tests)' all check-unit
	@seq 1 300 | $(B)/tsan/bin/tokenize -q | $(B)/tsan/bin/batchify -q -n 64 -m 8 -x 0.3 | \
		OPENBLAS_NUM_THREADS=1 $(B)/tsan/bin/train -q -j 3 -H 16 --steps 5 -o $(B)/tsan/model \
		--checkpoint $(B)/tsan/run && echo "train -j 3 is clean under TSan"

include tests/bench/bench.mk

# --- coverage -----------------------------------------------------------------------------------

# Of what reads and writes files: by the unit tests alone, as a program that is killed leaves no
# counts, or half of them. No line and no branch is excluded.
coverage_limit   = 95
coverage_sources = $(base_src:%=lib/base/%.c) $(formats_src:%=formats/%.c)
coverage_tests   = $(filter-out params kernels ops model adam sampler,$(unit_tests))
.PHONY: coverage
coverage: ## what the unit tests run of formats/ and lib/base: lines, branches
coverage:
	@find $(B)/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory CFLAGS='-O0 -g --coverage -DNDEBUG -Wno-unused' \
		LDFLAGS=--coverage B=$(B)/coverage bin=$(B)/coverage/bin \
		unit_tests='$(coverage_tests)' check-unit
	@tests/coverage.sh $(coverage_limit) $(B)/coverage $(coverage_sources)

# --- CUDA ---------------------------------------------------------------------------------------

NVCC       = nvcc
CUDA_ARCHS = 75 80 86 89 90
cuda_home  = $(patsubst %/bin/,%,$(dir $(shell command -v $(NVCC))))
plugin     = $(bin)/charpipe-cuda.so
plugin_src = lib/cuda/cuda.c lib/cuda/plugin.c $(patsubst %,lib/base/%.c,error memory utf8)
plugin_obj = $(plugin_src:%.c=$(B)/cuda/%.o) $(B)/cuda/lib/cuda/kernels.o
pic_flags  = $(filter-out -fPIE,$(all_flags)) -fPIC -fvisibility=hidden
nvcc_flags = -std=c++17 -O3 -lineinfo -fmad=false -Werror all-warnings -Xcompiler -Wall,-Wextra,-fPIC \
             -I. -Ilib $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$a,code=sm_$a) \
             $(foreach a,$(lastword $(CUDA_ARCHS)),-gencode arch=compute_$a,code=compute_$a)
cuda_libs  = -L$(cuda_home)/lib64 -Wl,-rpath,$(cuda_home)/lib64 -lcublas -lcudart_static -lstdc++ -ldl \
             -lrt -lm -pthread

.PHONY: cuda check-cuda bench-cuda gpu
cuda: ## the plug-in for NVIDIA GPUs too, where nvcc is
ifneq ($(shell command -v $(NVCC)),)
cuda: all $(plugin)
else
cuda: all
	@echo "cuda: no $(NVCC) here: the programs compute on the CPU alone" >&2
endif

$(plugin): $(plugin_obj)
	@mkdir -p $(@D) && echo "LD $@"
	@$(CC) -shared $(filter-out -fPIE,$(hardening)) $(LDFLAGS) -Wl,-z,defs -o $@ $^ $(cuda_libs)

$(B)/cuda/%.o: %.c $(B)/flags
	@mkdir -p $(@D) && echo "CC $@"
	@$(CC) $(pic_flags) -isystem $(cuda_home)/include -DTEST_CUDA -MMD -MP -c -o $@ $<

$(B)/cuda/%.o: %.cu $(B)/flags
	@mkdir -p $(@D) && echo "NVCC $@"
	@$(NVCC) $(nvcc_flags) -MMD -MP -c -o $@ $<

# The same sources over the GPU that tests/cuda/emulation is: as programs for tests, always with
# sanitizers, and as a plug-in.
CXX            = $(if $(findstring clang,$(CC)),clang++,g++)
emulation      = $(filter-out -fPIE,$(language)) -Itests/cuda/emulation -DTEST_CUDA -fPIC -O1 -g
emulation_cxx  = $(filter-out -std=%,$(emulation)) $(filter -Werror,$(CFLAGS)) -std=c++17 $(pkg_flags) -Wall -Wextra -Wshadow \
                 -Wno-unknown-pragmas
emulation_asan = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
emulation_obj  = lib/cuda/cuda.o lib/cuda/kernels.o tests/cuda/emulation/emulation.o
cuda_tests     = $(filter tests/unit/test_ops tests/unit/test_model tests/unit/test_adam, \
                 $(unit_tests:%=tests/unit/test_%)) tests/cuda/test_cuda
emulated       = $(cuda_tests:%=$(B)/emulated/%) $(B)/emulated/tests/cuda/test_failures \
                 $(B)/emulated/tests/cuda/test_emulation
emulated_plugin = $(B)/emulated-plugin/charpipe-cuda.so

# $(call emulate,FOLDER,FLAGS)
define emulate
$(B)/$1/%.o: %.c $(B)/flags
	@mkdir -p $$(@D) && echo "CC $$@"
	@$$(CC) $$(emulation) $$(pkg_flags) $$(warnings) $$(filter -Werror,$$(CFLAGS)) $2 -MMD -MP -c -o $$@ $$<
$(B)/$1/%.o: %.cc $(B)/flags
	@mkdir -p $$(@D) && echo "CXX $$@"
	@$$(CXX) $$(emulation_cxx) $2 -MMD -MP -c -o $$@ $$<
$(B)/$1/%.o: %.cu $(B)/flags
	@mkdir -p $$(@D) && echo "CXX $$@"
	@$$(CXX) -x c++ $$(emulation_cxx) $2 -MMD -MP -c -o $$@ $$<
endef
$(eval $(call emulate,emulated,$$(emulation_asan)))
$(eval $(call emulate,emulated-plugin,$$(filter-out -fPIE,$$(hardening)) -fvisibility=hidden))

$(emulated): $(B)/emulated/%: $(B)/emulated/%.o $(test_src:%.c=$(B)/emulated/%.o) \
		$(emulation_obj:%=$(B)/emulated/%) $(B)/libcharpipe.a
	@echo "LD $@"
	@$(CXX) $(emulation_asan) $(LDFLAGS) -o $@ $^ -lcmocka $(libraries)

$(emulated_plugin): $(plugin_src:%.c=$(B)/emulated-plugin/%.o) \
		$(filter-out %/cuda.o,$(emulation_obj:%=$(B)/emulated-plugin/%))
	@echo "LD $@"
	@$(CXX) -shared $(filter-out -fPIE,$(hardening)) $(LDFLAGS) -o $@ $^ $(libraries)

.SECONDARY: $(emulated:%=%.o)

check check-long objects: $(emulated) $(emulated_plugin) $(if $(shell command -v $(NVCC)),$(plugin))

# On a GPU. CUPTI comes with CUDA, in the one place or in the other.
gpu_programs = $(cuda_tests:%=$(B)/cuda/%) $(B)/cuda/tests/cuda/bench
cupti = $(firstword $(foreach d,$(cuda_home) $(cuda_home)/extras/CUPTI,$(if $(wildcard \
        $d/include/cupti.h),$d)))
$(B)/cuda/tests/cuda/bench.o: pic_flags += $(if $(cupti),-DWITH_CUPTI -isystem $(cupti)/include)
$(B)/cuda/tests/cuda/bench: cuda_libs += $(if $(cupti),-L$(cupti)/lib64 -lcupti \
        -Wl$(comma)-rpath$(comma)$(cupti)/lib64)
$(gpu_programs): $(B)/cuda/%: $(B)/cuda/%.o $(test_src:%.c=$(B)/cuda/%.o) $(plugin_obj) \
		$(B)/libcharpipe.a
	@echo "LD $@"
	@$(CC) -o $@ $^ -lcmocka $(cuda_libs) $(libraries)

gpu: $(gpu_programs)
	@$(B)/cuda/tests/cuda/bench --describe

check-cuda: ## the tests of the plug-in on a GPU, and under compute-sanitizer where that is
check-cuda: gpu
	@$(test_env) $(PROVE) -e '' $(cuda_tests:%=$(B)/cuda/%)
	@if command -v compute-sanitizer >/dev/null; then \
		compute-sanitizer --error-exitcode 1 $(B)/cuda/tests/cuda/test_cuda; \
	else echo "check-cuda: SKIPPED: no compute-sanitizer here" >&2; fi

bench-cuda: ## step time, kernels, gaps, sampling speed on a GPU, and PyTorch's beside them
bench-cuda: gpu
	@$(B)/cuda/tests/cuda/bench
	@$(PYTHON) tests/cuda/bench_pytorch.py || true

# --- lint ---------------------------------------------------------------------------------------

sources  = $(sort $(wildcard lib/*/*.c formats/*.c tools/*.c tools/*/*.c examples/embed/*.c \
           tests/unit/*.c tests/fuzz/*.c tests/bench/*.c tests/cuda/*.c))
headers  = $(sort $(wildcard lib/*.h lib/*/*.h formats/*.h tools/*.h tools/*/*.h tests/unit/*.h \
           tests/cuda/*.h tests/cuda/emulation/*.h lib/cuda/*.cu tests/cuda/*.cc \
           tests/cuda/emulation/*.cc))
shell    = bootstrap .ci/run mk/deb examples/fetch \
           $(wildcard tests/*.t tests/*/*.t tests/*/*.sh)
checked  = $(filter-out tests/%,$(sources))
tidied   = $(checked:%.c=$(B)/tidy/%)
analysed = $(patsubst %.c,$(B)/analysed/%,$(filter-out %/kernels.c,$(checked)))
# $(call with,PROGRAM,COMMAND): a missing checker is passed over, and said so.
with = @if command -v $1 >/dev/null; then echo "lint: $1"; $2; \
       else echo "lint: SKIPPED: no $1 here (./bootstrap installs it)" >&2; fi
strict = $(MAKE) --no-print-directory CC=$1 CFLAGS='-O2 -g -Werror' B=$(B)/$1 bin=$(B)/$1/bin objects

.PHONY: lint lint-gcc lint-clang lint-format lint-tidy lint-cppcheck lint-shell lint-man \
        lint-analyzer objects
lint: ## gcc, clang, gcc's analyzer, clang-format, clang-tidy, cppcheck, shellcheck, mandoc
lint: lint-gcc lint-clang lint-analyzer lint-format lint-tidy lint-cppcheck lint-shell lint-man

objects: all $(unit_programs)

lint-gcc:
	+$(call with,gcc,$(call strict,gcc))
lint-clang:
	+$(call with,clang,$(call strict,clang))
lint-format:
	$(call with,clang-format,clang-format --dry-run -Werror $(sources) $(headers))
lint-tidy: $(if $(shell command -v clang-tidy),$(tidied))
	$(call with,clang-tidy,:)
$(B)/tidy/%: %.c .clang-tidy
	@mkdir -p $(@D) && echo "TIDY $<" && \
	clang-tidy --quiet $< -- $(language) $(pkg_flags) -Itests/cuda/emulation -DKERNELS=generic $(kernels:%=-DKERNELS_%) \
		2>/dev/null && touch $@
# Leaks are left to ASan and valgrind: the analyzer loses track of what a structure owns. Nor does it
# know that a vector is shifted by its elements.
lint-analyzer: $(if $(shell command -v gcc),$(analysed))
	$(call with,gcc,:)
$(B)/analysed/%: %.c
	@mkdir -p $(@D) && echo "ANALYSE $<" && \
	gcc $(language) $(pkg_flags) -Itests/cuda/emulation -DKERNELS=generic $(kernels:%=-DKERNELS_%) -O1 \
		-fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-shift-count-overflow -Werror \
		-c -o $@ $<
lint-cppcheck:
	$(call with,cppcheck,cppcheck -j 2 --quiet --std=c11 --error-exitcode=1 --inline-suppr \
		--enable=warning$(comma)portability -I. -Ilib -Itests/cuda/emulation --suppress=uninitdata \
		--suppress=arrayIndexThenCheck $(filter-out %/kernels.c,$(checked)))
lint-shell:
	$(call with,shellcheck,shellcheck -x -S warning $(wildcard $(shell)))
lint-man: all
	$(call with,mandoc,mandoc -Tlint -W warning $(TOOLS:%=$(B)/man/%.1) \
		$(format_pages:%=$(B)/man/charpipe-%.5) tools/charpipe.7)
comma := ,

.PHONY: format
format: ## the C sources as clang-format wants them
	clang-format -i $(sources) $(headers)

# --- installation -------------------------------------------------------------------------------

include mk/install.mk

.PHONY: clean help
clean: ## removes what was built
	rm -rf $(B) $(TOOLS:%=$(bin)/%) $(plugin)
	@rmdir $(bin) 2>/dev/null || true

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | \
		awk -F '\t' '{printf "%-14s%s\n", $$1, $$2}'
