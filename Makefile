# charpipe. `make help` lists the targets; README.md says what it is for.
#
# One variable per choice, to be set on the command line:
#     make CC=clang SANITIZE=address,undefined B=build/asan bin=build/asan/bin

CC      = gcc
CFLAGS  = -O2 -g
PREFIX  = /usr/local
DESTDIR =
SANITIZE =
B       = build
bin     = bin
VERSION = 0.1.0
PKG_CONFIG = pkg-config
PYTHON  = /usr/bin/python3

TOOLS    = tokenize batchify train sample evalloss
LIBS     = openblas zlib yaml-0.1 jansson

# --- sources ------------------------------------------------------------------------------------

base_src    = error input output spool option utf8 pool
nn_src      = params model lstm adam sampler
cpu_src     = cpu
formats_src = yaml vocab vocab_file text stream tokens shards safetensors model config
lib_src     = $(base_src:%=lib/base/%.c) $(nn_src:%=lib/nn/%.c) $(cpu_src:%=lib/cpu/%.c) \
              $(formats_src:%=formats/%.c)
tool_src    = tools/tool.c tools/device.c

# lib/cpu/kernels.c is compiled once for each vector width; cpu.c chooses at run time.
machine := $(shell $(CC) -dumpmachine)
ifneq ($(filter x86_64-%,$(machine)),)
kernels = avx512 avx2 generic
else
kernels = generic
endif
kernel_flags_avx512  = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512
kernel_flags_avx2    = -mavx2 -mfma
kernel_flags_generic =
kernel_obj = $(kernels:%=$(B)/lib/cpu/kernels-%.o)

unit_tests = error input output option utf8 pool philox params kernels ops model adam sampler \
             yaml vocab stream tokens shards safetensors model_file config layers

# --- flags --------------------------------------------------------------------------------------

warnings = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla
hardening = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
ifneq ($(SANITIZE),)
hardening = -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
link_flags = -fsanitize=$(SANITIZE)
else
link_flags = -pie -Wl,-z,relro,-z,now
endif
# Sums must round the same way in every build: no contraction, no fast-math.
all_flags = -std=gnu11 -ffp-contract=off -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
            -DCHARPIPE_VERSION='"$(VERSION)"' -I. -Ilib $(warnings) $(hardening) $(CFLAGS) -MMD -MP -pthread
lib_cflags := $(shell $(PKG_CONFIG) --cflags $(filter-out openblas,$(LIBS)) 2>/dev/null)
blas_cflags := $(shell $(PKG_CONFIG) --cflags openblas 2>/dev/null)
lib_ldlibs := $(shell $(PKG_CONFIG) --libs $(LIBS) 2>/dev/null) -lm -pthread

# --- programs -----------------------------------------------------------------------------------

.PHONY: all
all: $(TOOLS:%=$(bin)/%) $(TOOLS:%=$(B)/man/%.1)

$(B)/libcharpipe.a: $(lib_src:%.c=$(B)/%.o) $(kernel_obj)
	@rm -f $@
	$(AR) rcs $@ $^

$(TOOLS:%=$(bin)/%): $(bin)/%: $(B)/tools/%.o $(tool_src:%.c=$(B)/%.o) $(B)/libcharpipe.a
	@mkdir -p $(@D)
	$(CC) $(link_flags) $(LDFLAGS) -o $@ $^ $(lib_ldlibs)

$(foreach t,$(TOOLS),$(eval $(B)/tools/$t.o: tools/$t/$t.c))
$(TOOLS:%=$(B)/tools/%.o):
	@mkdir -p $(@D)
	$(CC) $(all_flags) $(lib_cflags) -c -o $@ $<

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(all_flags) $(lib_cflags) -c -o $@ $<

$(B)/lib/cpu/cpu.o: all_flags += $(blas_cflags) $(kernels:%=-DKERNELS_%)

$(B)/lib/cpu/kernels-%.o: lib/cpu/kernels.c
	@mkdir -p $(@D)
	$(CC) $(all_flags) $(kernel_flags_$*) -DKERNELS=$* -c -o $@ $<

# A man page is its source with the option table in the place of its OPTIONS line.
$(B)/man/%.1: $(bin)/%
	@mkdir -p $(@D)
	$(bin)/$* --options-as man > $@.options
	sed -e '/^\.\\" OPTIONS$$/{r $@.options' -e 'd;}' tools/$*/$*.1 > $@.tmp
	@rm -f $@.options && mv $@.tmp $@
$(foreach t,$(TOOLS),$(eval $(B)/man/$t.1: tools/$t/$t.1))

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)
