# The plug-in for several machines (lib/mpi), which train loads under mpirun: compiled with any MPI's
# own compiler. The last one made is the one that counts:
#
#     make mpi MPICC=mpicc.mpich

MPICC      = mpicc
mpi_plugin = $(bin)/charpipe-mpi.so
mpi_parts  = $(addprefix lib/,mpi/exchange mpi/plugin mpi/ranks nn/group nn/tree base/error base/show \
             base/memory base/utf8)
# For those who check what it compiles.
mpi_headers = $(patsubst -I%,-isystem %,$(filter -I%,$(shell $(MPICC) -show 2>/dev/null)))
# MPICH's header says of a place for no results that it has room for some.
mpi_flags  = $(all_flags) $(if $(findstring clang,$(CC)),,-Wno-stringop-overflow)
# It calls the compiler that all else is compiled with.
mpi_env    = OMPI_CC='$(CC)' MPICH_CC='$(CC)'
found      = $(shell command -v $1)

# $(eval $(call mpi,FOLDER,PLUGIN,COMPILER)): the plug-in, its objects in FOLDER; another MPI's objects are
# others.
define mpi
$2: $(mpi_parts:%=$1/%.o)
	@mkdir -p $$(@D) && echo "LD $$@"
	@$$(mpi_env) $3 -shared $$(hardening) $$(link_flags:-pie=) $$(LDFLAGS) $$(no_undefined) -o $$@ $$^ \
		-pthread
$1/%.o: %.c $1/flags
	$$(call compile,MPICC,$$(mpi_env) $3 $$(mpi_flags))
$1/flags: $(B)/flags FORCE_MPI
	@mkdir -p $$(@D) && echo '$(call found,$3)' | cmp -s - $$@ || echo '$(call found,$3)' >$$@
endef
.PHONY: FORCE_MPI
FORCE_MPI: ;

.PHONY: mpi
mpi: ## the plug-in for several machines too, where an MPI is; MPICC=its compiler
ifneq ($(call found,$(MPICC)),)
$(eval $(call mpi,$(B)/mpi,$(mpi_plugin),$(MPICC)))
mpi: all $(mpi_plugin)
check check-long objects: $(mpi_plugin)
# Where MPICH stands beside another MPI, mpi.t tries both.
ifneq ($(filter-out $(realpath $(call found,$(MPICC))),$(realpath $(call found,mpicc.mpich))),)
$(eval $(call mpi,$(B)/mpich,$(B)/mpich/charpipe-mpi.so,mpicc.mpich))
check check-long: $(B)/mpich/charpipe-mpi.so
endif
else
mpi: all
	@echo "mpi: no $(MPICC) here: train runs on one machine alone (Debian: mpi-default-dev)" >&2
endif
