# The plug-in for several machines (lib/mpi), which train loads under mpirun: compiled with any MPI's
# own compiler.
#
#     make mpi MPICC=mpicc.mpich

MPICC      = mpicc
mpi_plugin = $(bin)/charpipe-mpi.so
mpi_obj    = $(patsubst %,$(B)/mpi/lib/mpi/%.o,exchange plugin ranks) \
             $(patsubst %,$(B)/mpi/lib/%.o,nn/group nn/tree base/error base/show base/memory base/utf8)
# For those who check what it compiles.
mpi_headers = $(patsubst -I%,-isystem %,$(filter -I%,$(shell $(MPICC) -show 2>/dev/null)))
# MPICH's header says of a place for no results that it has room for some.
mpi_flags  = $(all_flags) $(if $(findstring clang,$(CC)),,-Wno-stringop-overflow)
# It calls the compiler that all else is compiled with.
mpi_cc     = OMPI_CC='$(CC)' MPICH_CC='$(CC)' $(MPICC)

.PHONY: mpi
mpi: ## the plug-in for several machines too, where an MPI is
ifneq ($(shell command -v $(MPICC)),)
mpi: all $(mpi_plugin)
check check-long objects: $(mpi_plugin)
else
mpi: all
	@echo "mpi: no $(MPICC) here: train runs on one machine alone (Debian: mpi-default-dev)" >&2
endif

$(mpi_plugin): $(mpi_obj)
	@mkdir -p $(@D) && echo "LD $@"
	@$(mpi_cc) -shared $(hardening) $(link_flags:-pie=) $(LDFLAGS) $(no_undefined) -o $@ $^ -pthread

$(B)/mpi/%.o: %.c $(B)/mpi/flags
	$(call compile,MPICC,$(mpi_cc) $(mpi_flags))

# Another MPI's objects are others.
$(B)/mpi/flags: $(B)/flags FORCE_MPI
	@mkdir -p $(@D) && echo '$(shell command -v $(MPICC))' | cmp -s - $@ || \
		echo '$(shell command -v $(MPICC))' >$@
.PHONY: FORCE_MPI
FORCE_MPI: ;
