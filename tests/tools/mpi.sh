# mpi.sh: what the tests that use mpirun share, after lib.sh. Where there is none, or no plug-in, the tests
# that follow are skipped.
# shellcheck shell=sh
missing=
command -v mpirun >/dev/null || missing="no mpirun (./bootstrap installs one)"
[ -e "$BIN/charpipe-mpi.so" ] || missing="no plug-in (make mpi builds it, where mpicc is)"
if [ -n "$missing" ]; then
    [ "${tests_run:-0}" -gt 0 ] || skip_all "$missing"
    skip "ranks" "$missing"
    done_testing
fi
CHARPIPE_PLUGIN_DIR=$BIN
# Root, and more ranks than cores: of no matter in a test. By their names in Open MPI 4 and 5.
OMPI_ALLOW_RUN_AS_ROOT=1
OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
OMPI_MCA_rmaps_base_oversubscribe=1
OMPI_MCA_hwloc_base_binding_policy=none
PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
PRTE_MCA_hwloc_default_binding_policy=none
# What MPI itself leaves behind is not ours.
ASAN_OPTIONS=detect_leaks=0
export CHARPIPE_PLUGIN_DIR OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM \
    OMPI_MCA_rmaps_base_oversubscribe OMPI_MCA_hwloc_base_binding_policy \
    PRTE_MCA_rmaps_default_mapping_policy PRTE_MCA_hwloc_default_binding_policy ASAN_OPTIONS

# ranks N COMMAND...: the command in so many ranks.
ranks() {
    count=$1
    shift
    timeout 120 mpirun -n "$count" "$@"
}
