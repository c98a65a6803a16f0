# Lint. Each checker that is missing is passed over, and said so.

sources  = $(sort $(wildcard lib/*/*.c formats/*.c tools/*.c tools/*/*.c examples/embed/*.c \
           tests/unit/*.c tests/fuzz/*.c tests/bench/*.c tests/cuda/*.c tests/hosts/*.c))
headers  = $(sort $(wildcard lib/*/*.h formats/*.h tools/*.h tools/*/*.h tests/unit/*.h \
           tests/cuda/*.h tests/cuda/emulation/*.h lib/cuda/*.cu tests/cuda/*.cc \
           tests/cuda/emulation/*.cc))
shell    = bootstrap .ci/run mk/deb examples/fetch examples/cluster/train.slurm \
           $(wildcard tests/*.t tests/*/*.t tests/*/*.sh)
checked  = $(filter-out tests/% $(if $(mpi_headers),,lib/mpi/%),$(sources))
tidied   = $(checked:%.c=$(B)/tidy/%)
analysed = $(patsubst %.c,$(B)/analysed/%,$(filter-out %/kernels.c,$(checked)))
checked_as = $(language) $(pkg_flags) -Ilib/door -Itests/cuda/emulation -DKERNELS=generic $(kernels_flag) \
             $(mpi_headers)
# $(call with,PROGRAM,COMMAND)
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
	clang-tidy --quiet $< -- $(checked_as) 2>/dev/null && touch $@
# Leaks are left to ASan and valgrind: the analyzer loses track of what a structure owns. Nor does it
# know that a vector is shifted by its elements.
lint-analyzer: $(if $(shell command -v gcc),$(analysed))
	$(call with,gcc,:)
$(B)/analysed/%: %.c
	@mkdir -p $(@D) && echo "ANALYSE $<" && \
	gcc $(checked_as) -O1 -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-shift-count-overflow \
		-Werror -c -o $@ $<
lint-cppcheck:
	$(call with,cppcheck,cppcheck -j 2 --quiet --std=c11 --error-exitcode=1 --inline-suppr \
		--enable=warning$(comma)portability -I. -Ilib -Ilib/door -Itests/cuda/emulation --suppress=uninitdata \
		--suppress=arrayIndexThenCheck $(filter-out %/kernels.c,$(checked)))
lint-shell:
	$(call with,shellcheck,shellcheck -x -S warning $(wildcard $(shell)))
lint-man: all
	$(call with,mandoc,mandoc -Tlint -W warning $(pages))

.PHONY: format
format: ## the C sources as clang-format wants them
	clang-format -i $(sources) $(headers)
