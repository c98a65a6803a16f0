# Benchmarks. `make bench` measures this machine, which should have nothing else to do, and leaves
# its table, one row a ratio, in $(RESULT); run.py says what its columns are. BENCH_QUICK=1 tries
# whether it all runs, with numbers that mean nothing.

RESULT       =
TORCH_PYTHON = $(B)/torch/bin/python
bench        = $(B)/tests/bench/bench
bench_run    = $(PYTHON) tests/bench/run.py --bin $(bin) --bench $(bench) --wire $(wire) $(RESULT:%=--result %)

$(bench): $(B)/tests/bench/bench.o $(B)/libinner.a
	$(LINK) -o $@ $(filter %.o,$^) $(B)/libinner.a $(libraries) $(loaded_libs)

.PHONY: bench bench-torch bench-plot readme-table check-torch race
bench: ## steps, sampling, scoring, tokenizing beside what the machine can do; RESULT=FILE.tsv
bench: all $(bench) $(wire)
	@$(bench_run)

bench-torch: ## the same, and PyTorch's step and sampling loop; TORCH_PYTHON=a Python that has it
bench-torch: all $(bench) $(wire) $(TORCH_PYTHON)
	@$(bench_run) --torch $(TORCH_PYTHON)

bench-plot: ## how the time of a step grows with each dimension: a table and a picture of it
bench-plot: $(bench)
	@tests/bench/scaling.sh $(bench) $(RESULT)

# Half an hour on a machine that has nothing else to do.
DATA    =
SEEDS   = 1,2,3
NANOGPT =
race: ## how soon the recipes reach a loss; DATA=FOLDER of texts; NANOGPT=FOLDER runs its CPU recipe too
race: all $(if $(NANOGPT),$(TORCH_PYTHON))
	@$(PYTHON) tests/bench/race.py --bin $(bin) --data '$(DATA)' --seeds $(SEEDS) \
		$(RACE:%=--only %) $(if $(NANOGPT),--nanogpt '$(NANOGPT)' --torch $(TORCH_PYTHON))

readme-table: ## the table of measurements in README.md, from RESULT=FILE.tsv or the newest one
readme-table:
	@$(PYTHON) tests/bench/readme_table.py README.md $(RESULT)

check-torch: ## the programs beside PyTorch, end to end; TORCH_PYTHON=a Python that has it
check-torch: all
	@if $(MAKE) --no-print-directory $(TORCH_PYTHON); then \
		BIN='$(abspath $(bin))' $(TORCH_PYTHON) tests/check-torch; \
	else echo "check-torch: SKIPPED: PyTorch can't be had here" >&2; fi

# A virtual environment of its own, thrown away by `make clean`.
$(B)/torch/bin/python:
	@echo "VENV $(B)/torch"
	@rm -rf $(B)/torch && mkdir -p $(B) && $(PYTHON) -m venv $(B)/torch && \
	$(B)/torch/bin/pip install --quiet --disable-pip-version-check torch numpy safetensors || { \
	rm -rf $(B)/torch; \
	echo "no PyTorch: TORCH_PYTHON=FILE names a Python that has torch, numpy and safetensors," \
		"as 'python3 -m venv DIR && DIR/bin/pip install torch numpy safetensors' makes" >&2; \
	exit 1; }
