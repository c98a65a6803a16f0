# Fuzzing. `make fuzz FUZZ_SECONDS=60` runs every target for that long, with clang's libFuzzer and
# sanitizers; `make check` replays the seeds and all that ever crashed (crashers/TARGET/), with any
# compiler. What a run finds goes to $(B)/fuzz/found/; a crasher belongs into crashers/ once it is mended.

FUZZ_SECONDS = 60
fuzz_plain   = tokens shards model state config text gzip
fuzz_nocrc   = tokens-nocrc shards-nocrc model-nocrc state-nocrc
fuzz_targets = $(fuzz_plain) $(fuzz_nocrc)
replays      = $(fuzz_targets:%=$(B)/tests/fuzz/replay_%)
corpus       = $(B)/fuzz/seeds
fuzz_parent  = $(B)/fuzz/build

# The source of a target, and the CRCs of those that have none.
fuzz_source  = $(1:%-nocrc=%)
fuzz_extra   = $(if $(filter %-nocrc,$1),$2/tests/fuzz/no_crc.o)

define fuzz_rule
$(B)/tests/fuzz/replay_$1: $(B)/tests/fuzz/replay.o $(B)/tests/fuzz/fuzz_$(call fuzz_source,$1).o \
		$(call fuzz_extra,$1,$(B)) $(B)/libcharpipe.a
	$$(LINK) -o $$@ $$^ $$(libraries)
$(B)/fuzz/fuzz_$1: $(B)/tests/fuzz/fuzz_$(call fuzz_source,$1).o $(call fuzz_extra,$1,$(B)) \
		$(B)/libcharpipe.a
	$$(LINK) -fsanitize=fuzzer -o $$@ $$^ $$(libraries)
endef
$(foreach t,$(fuzz_targets),$(eval $(call fuzz_rule,$t)))
.SECONDARY: $(fuzz_plain:%=$(B)/tests/fuzz/fuzz_%.o) $(B)/tests/fuzz/replay.o $(B)/tests/fuzz/no_crc.o

$(corpus): tests/fuzz/seeds.py tests/tools/lies.py $(wildcard tests/golden/*/*)
	@rm -rf $@ && $(PYTHON) tests/fuzz/seeds.py $@

.PHONY: fuzz fuzzers
fuzz: ## every parser under libFuzzer, FUZZ_SECONDS each
fuzz: $(corpus)
	@if ! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' | \
		clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null; then \
		echo "fuzz: SKIPPED: no clang with libFuzzer here (./bootstrap installs it)" >&2; \
	else $(MAKE) --no-print-directory CC=clang SANITIZE=address,undefined \
		CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' B=$(fuzz_parent) bin=$(fuzz_parent)/bin fuzzers && \
		tests/fuzz/run.sh $(FUZZ_SECONDS) $(fuzz_parent)/fuzz $(corpus) $(B)/fuzz/found \
		$(fuzz_targets); fi

fuzzers: $(fuzz_targets:%=$(B)/fuzz/fuzz_%)
