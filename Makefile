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
PYTHON   = /usr/bin/python3
PROVE    = prove -j2
# What runs programs that are built for another processor.
EMULATOR =

VERSION  = 0.1.0
TOOLS    = tokenize batchify train sample evalloss inspect
LIBS     = zlib yaml-0.1 jansson
# What the programs load when they need it; only benchmarks and emulations are linked to it.
LOADED   = openblas

comma := ,

# With CC=aarch64-linux-gnu-gcc, all that goes with it.
cross      = $(filter-out $(CC),$(CC:%-gcc=%-))
PKG_CONFIG = $(cross)pkg-config
OBJCOPY    = $(cross)objcopy
ifneq ($(cross),)
AR = $(cross)ar
LD = $(cross)ld
endif

# What `make` alone makes, whatever stands first below.
.DEFAULT_GOAL = all

# --- sources ------------------------------------------------------------------------------------

base_src    = error show memory io place input output spool option utf8 crc pool
nn_src      = cell lstm gru rnn params tree group operand counter model layer adam schedule sampler
cpu_src     = cpu blas
formats_src = kind yaml vocab vocab_file text encode stream tokens shards plan safetensors model_file \
              state_file config
door_src    = door charpipe_model charpipe_state charpipe_data charpipe_trainer
lib_src     = $(base_src:%=lib/base/%.c) $(nn_src:%=lib/nn/%.c) $(cpu_src:%=lib/cpu/%.c) \
              $(formats_src:%=formats/%.c)
tool_src    = tools/tool.c tools/device.c tools/plugin.c tools/network.c tools/reader.c \
              tools/table.c tools/files.c
train_src   = checkpoint log pace run settings signals team
sample_src  = context draw interactive stop unescape
evalloss_src = chars heat html lines rows score view whole
door_pages  = charpipe charpipe_model charpipe_state charpipe_data charpipe_trainer
format_pages = $(patsubst formats/%.md,%,$(filter-out %SECURITY.md,$(sort $(wildcard formats/*.md))))
pages       = $(TOOLS:%=$(B)/man/%.1) $(door_pages:%=$(B)/man/%.3) $(format_pages:%=$(B)/man/charpipe-%.5) $(B)/man/charpipe.7
test_src    = tests/unit/reference.c

# lib/cpu/kernels.c is compiled once for each vector width; cpu.c chooses at run time.
machine := $(shell $(CC) -dumpmachine)
ifneq ($(filter x86_64-%,$(machine)),)
kernels = avx512bf16 avx512vnni avx512 avx2vnni avx2 generic
else ifneq ($(filter aarch64-% arm64-%,$(machine)),)
kernels = neondot neon
else
kernels = generic
endif
kernel_flags_avx2    = -mavx2 -mfma
kernel_flags_avx512  = $(kernel_flags_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl \
                       -mprefer-vector-width=512
kernel_flags_avx2vnni   = $(kernel_flags_avx2) -mavxvnni
kernel_flags_avx512vnni = $(kernel_flags_avx512) -mavx512vnni
kernel_flags_avx512bf16 = $(kernel_flags_avx512vnni) -mavx512bf16
kernel_flags_neondot = -march=armv8.2-a+dotprod
kernels_flag = '-DALL_KERNELS=$(patsubst %,K(%),$(kernels))' # best first
kernel_obj = $(kernels:%=$(B)/lib/cpu/kernels-%.o)

unit_tests = error show memory io place input output spool option utf8 crc pool philox params kernels ops model \
             tree adam schedule sampler kind yaml vocab text stream tokens shards safetensors state_file \
             model_file config faults charpipe

# --- flags --------------------------------------------------------------------------------------

warnings = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla
ifneq ($(SANITIZE),)
hardening  = -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
link_flags = -fsanitize=$(SANITIZE)
no_undefined =
else
hardening  = -fstack-protector-strong -D_FORTIFY_SOURCE=2
link_flags = -pie -Wl,-z,relro,-z,now -Wl,--as-needed
no_undefined = -Wl,-z,defs
endif
# Sums must round the same way in every build: no contraction, no fast-math. Every object may become
# part of a program or of a shared one, which shows only what says so.
language  = -std=gnu11 -ffp-contract=off -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
            -DCHARPIPE_VERSION='"$(VERSION)"' -I. -Ilib -pthread -fPIC -fvisibility=hidden
pkg_flags = $(shell $(PKG_CONFIG) --cflags $(LIBS) $(LOADED) cmocka 2>/dev/null)
pkg_libs := $(shell $(PKG_CONFIG) --libs $(LIBS) 2>/dev/null)
all_flags := $(language) $(pkg_flags) $(warnings) $(hardening) $(CFLAGS)
libraries = $(pkg_libs) -lm -ldl -pthread
loaded_libs = $(shell $(PKG_CONFIG) --libs $(LOADED))

# $(call compile,NAME,COMPILER AND FLAGS)
compile = @mkdir -p $(@D) && echo "$1 $@" && $2 -MMD -MP -c -o $@ $<
LINK    = @mkdir -p $(@D) && echo "LD $@" && $(CC) $(hardening) $(CFLAGS) $(link_flags) $(LDFLAGS)
archive = @rm -f $@ && $(AR) rcs $@ $^

# $(eval $(call flavour,FOLDER,FLAGS)): C compiled into FOLDER, by the flags that are in FLAGS.
define flavour
$1/%.o: %.c $(B)/flags
	$$(call compile,CC,$$(CC) $$($2))
endef
$(eval $(call flavour,$(B),all_flags))

# Goals that compile need the libraries, and a stamp that makes other flags rebuild everything.
ifneq ($(filter-out help clean uninstall format,$(or $(MAKECMDGOALS),all)),)
missing := $(foreach l,$(LIBS) $(LOADED),$(if $(shell $(PKG_CONFIG) --exists $l 2>&1 || echo no),$l))
ifneq ($(strip $(missing)),)
$(error $(PKG_CONFIG) finds no $(strip $(missing)): ./bootstrap installs what is missing)
endif
stamp := $(CC) $(all_flags) $(link_flags) $(LDFLAGS) $(libraries) $(loaded_libs)
ifneq ($(file <$(B)/flags),$(stamp))
$(shell mkdir -p $(B))
$(file >$(B)/flags,$(stamp))
endif
endif

# --- programs -----------------------------------------------------------------------------------

door_obj  = $(door_src:%=$(B)/lib/door/%.o)
so_name   = libcharpipe.so.$(firstword $(subst ., ,$(VERSION)))
built_libraries = $(B)/libcharpipe.a $(B)/libcharpipe.so.$(VERSION)

.PHONY: all
all: ## the programs, into bin/, their man pages, and the library (the default)
all: $(TOOLS:%=$(bin)/%) $(bin)/recipes $(pages) $(built_libraries)

# Programs look for recipes beside themselves, and where they are installed.
$(bin)/recipes:
	@mkdir -p $(@D) && ln -sfnr examples/recipes $@

tool_obj = $(patsubst %,$(B)/tools/$1/%.o,$1 $($1_src))
$(foreach t,$(TOOLS),$(eval $(bin)/$t: $(call tool_obj,$t)))

$(TOOLS:%=$(bin)/%): $(B)/libtools.a $(B)/libinner.a
	$(LINK) -o $@ $(filter %.o,$^) $(B)/libtools.a $(B)/libinner.a $(libraries)

# An archive, so that a program has no more than it needs.
$(B)/libtools.a: $(tool_src:%.c=$(B)/%.o)
	$(archive)

$(B)/libinner.a: $(lib_src:%.c=$(B)/%.o) $(kernel_obj)
	$(archive)

# --- the library for others: charpipe.h, and what lies behind it, under no other name -----------

$(B)/libcharpipe.a: $(door_obj) $(B)/libinner.a
	@$(LD) -r -o $(B)/charpipe.o $^
	@$(OBJCOPY) --wildcard --keep-global-symbol='charpipe_*' $(B)/charpipe.o
	@rm -f $@ && $(AR) rcs $@ $(B)/charpipe.o

$(B)/libcharpipe.so.$(VERSION): $(door_obj) $(B)/libinner.a lib/door/charpipe.map
	@echo "LD $@"
	@$(CC) -shared $(hardening) $(CFLAGS) $(filter-out -pie,$(link_flags)) $(LDFLAGS) \
		-Wl,-soname,$(so_name) -Wl,--version-script=lib/door/charpipe.map $(no_undefined) \
		-o $@ $(door_obj) $(B)/libinner.a $(libraries)
	@ln -sf $(@F) $(B)/$(so_name) && ln -sf $(so_name) $(B)/libcharpipe.so

# The loops over every character of a text: gcc makes vector code of them at -O3.
$(B)/formats/vocab.o $(B)/formats/text.o: all_flags := $(all_flags:-O2=-O3)

$(B)/lib/cpu/cpu.o: all_flags += $(kernels_flag)

$(kernel_obj): $(B)/lib/cpu/kernels-%.o: lib/cpu/kernels.c $(B)/flags
	$(call compile,CC,$(CC) $(all_flags) $(kernel_flags_$*) -DKERNELS=$*)

$(B)/flags: ;

# --- man pages ----------------------------------------------------------------------------------

# A page is of the day of the last commit that touched its source.
date  = $(or $(shell git log -1 --format=%cs -- $1 2>/dev/null),$(shell date -r $1 +%F))
dated = sed -e '/^\.TH/s/ DATE / $(call date,$1) /'

# A program's page is its source with the option table in the place of its OPTIONS line.
$(foreach t,$(TOOLS),$(eval $(B)/man/$t.1: tools/$t/$t.1))
$(B)/man/%.1: $(bin)/%
	@mkdir -p $(@D)
	@$(EMULATOR) $< --options-as man > $@.options
	@$(call dated,tools/$*/$*.1) -e '/^\.\\" OPTIONS$$/{r $@.options' -e 'd;}' tools/$*/$*.1 > $@.tmp
	@rm -f $@.options && mv $@.tmp $@

$(B)/man/charpipe-%.5: formats/%.md mk/man.awk
	@mkdir -p $(@D)
	@awk -v name=charpipe-$* -v date=$(call date,$<) -v also='$(format_pages)' -f mk/man.awk $< >$@.tmp
	@mv $@.tmp $@

$(B)/man/%.3: lib/door/%.3
	@mkdir -p $(@D)
	@$(call dated,$<) $< >$@

$(B)/man/%.7: tools/%.7
	@mkdir -p $(@D)
	@$(call dated,$<) $< >$@

-include $(shell find $(B) -type f -name '*.d' 2>/dev/null)

.PHONY: demo
demo: ## a minute of training on the project's own sources, and what it then writes
demo: all
	@$(MAKE) --no-print-directory -C examples/self BIN='$(abspath $(bin))'

# --- the rest -----------------------------------------------------------------------------------

include mk/tests.mk mk/fuzz.mk mk/bench.mk mk/cuda.mk mk/mpi.mk mk/arm.mk mk/lint.mk mk/install.mk

.PHONY: clean help
clean: ## removes what was built
	rm -rf $(B) $(TOOLS:%=$(bin)/%) $(bin)/recipes $(plugin) $(mpi_plugin)
	@rmdir $(bin) 2>/dev/null || true

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | \
		awk -F '\t' '{printf "%-14s%s\n", $$1, $$2}'
