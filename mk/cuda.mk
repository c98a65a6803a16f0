# The plug-in for NVIDIA GPUs (lib/cuda): compiled with nvcc where that is, and over the GPU that
# tests/cuda/emulation is everywhere.

NVCC       = nvcc
CUDA_ARCHS = 75 80 86 89 90
cuda_home  = $(patsubst %/bin/,%,$(dir $(shell command -v $(NVCC))))
plugin     = $(bin)/charpipe-cuda.so
plugin_obj = $(patsubst %,$1/lib/cuda/%.o,cuda plugin kernels) \
             $(patsubst %,$(B)/lib/base/%.o,error show memory utf8)
cuda_flags = $(all_flags) -isystem $(cuda_home)/include -DTEST_CUDA
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

$(plugin): $(call plugin_obj,$(B)/cuda)
	@mkdir -p $(@D) && echo "LD $@"
	@$(CC) -shared $(hardening) $(LDFLAGS) -Wl,-z,defs -o $@ $^ $(cuda_libs)

$(eval $(call flavour,$(B)/cuda,cuda_flags))
$(B)/cuda/%.o: %.cu $(B)/flags
	$(call compile,NVCC,$(NVCC) $(nvcc_flags))

# The same sources over the GPU that tests/cuda/emulation is: as programs for tests, always with
# sanitizers, and as a plug-in.
CXX            = $(if $(findstring clang,$(CC)),clang++,g++)
emulation      = -Itests/cuda/emulation -DTEST_CUDA -O1 -g $(filter -Werror,$(CFLAGS))
emulation_c    = $(language) $(pkg_flags) $(warnings) $(emulation)
emulation_cxx  = $(filter-out -std=%,$(language)) -std=c++17 $(pkg_flags) -Wall -Wextra -Wshadow \
                 -Wno-unknown-pragmas $(emulation)
emulation_asan = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
emulation_obj  = lib/cuda/cuda.o lib/cuda/kernels.o tests/cuda/emulation/emulation.o
cuda_tests     = $(filter tests/unit/test_ops tests/unit/test_model tests/unit/test_adam, \
                 $(unit_tests:%=tests/unit/test_%)) tests/cuda/test_cuda
emulated       = $(cuda_tests:%=$(B)/emulated/%) $(B)/emulated/tests/cuda/test_failures \
                 $(B)/emulated/tests/cuda/test_emulation
emulated_plugin = $(B)/emulated-plugin/charpipe-cuda.so

# $(eval $(call emulate,FOLDER,FLAGS)): C, C++ and CUDA, by the emulation's flags and those in FLAGS.
define emulate
$1_c   = $$(emulation_c) $$($2)
$1_cxx = $$(emulation_cxx) $$($2)
$(call flavour,$(B)/$1,$1_c)
$(B)/$1/%.o: %.cc $(B)/flags
	$$(call compile,CXX,$$(CXX) $$($1_cxx))
$(B)/$1/%.o: %.cu $(B)/flags
	$$(call compile,CXX,$$(CXX) -x c++ $$($1_cxx))
endef
$(eval $(call emulate,emulated,emulation_asan))
$(eval $(call emulate,emulated-plugin,hardening))

$(emulated): $(B)/emulated/%: $(B)/emulated/%.o $(test_src:%.c=$(B)/emulated/%.o) \
		$(emulation_obj:%=$(B)/emulated/%) $(B)/libinner.a
	@echo "LD $@"
	@$(CXX) $(emulation_asan) $(LDFLAGS) -o $@ $^ -lcmocka $(libraries) $(loaded_libs)

$(emulated_plugin): $(call plugin_obj,$(B)/emulated-plugin) \
		$(B)/emulated-plugin/tests/cuda/emulation/emulation.o
	@echo "LD $@"
	@$(CXX) -shared $(hardening) $(LDFLAGS) -o $@ $^ $(libraries) $(loaded_libs)

.SECONDARY: $(emulated:%=%.o)

check check-long objects: $(emulated) $(emulated_plugin) $(if $(shell command -v $(NVCC)),$(plugin))

# On a GPU. CUPTI comes with CUDA, in the one place or in the other.
gpu_programs = $(cuda_tests:%=$(B)/cuda/%) $(B)/cuda/tests/cuda/bench
cupti = $(firstword $(foreach d,$(cuda_home) $(cuda_home)/extras/CUPTI,$(if $(wildcard \
        $d/include/cupti.h),$d)))
$(B)/cuda/tests/cuda/bench.o: cuda_flags += $(if $(cupti),-DWITH_CUPTI -isystem $(cupti)/include)
$(B)/cuda/tests/cuda/bench: cuda_libs += $(if $(cupti),-L$(cupti)/lib64 -lcupti \
        -Wl$(comma)-rpath$(comma)$(cupti)/lib64)
$(gpu_programs): $(B)/cuda/%: $(B)/cuda/%.o $(test_src:%.c=$(B)/cuda/%.o) \
		$(call plugin_obj,$(B)/cuda) $(B)/libinner.a
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
