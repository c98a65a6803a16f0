# lib.sh: what the shell tests share. A test sources it, calls the functions below, which print TAP
# (Test Anything Protocol), and ends with done_testing. `prove` runs it from the repository's root.
#
#     $BIN      the folder of the programs (absolute)
#     $TMP      a fresh folder, removed at the end
#     $ANNA     the text of Anna Karenina, or empty: then `needs_anna DESCRIPTION` skips
#     $PYTHON   a Python that has numpy
#     $tools    the programs' names
#
# shellcheck shell=sh
set -u

# The repository: where prove runs, or else found from the test's own place.
ROOT=$PWD
[ -f tests/tools/lib.sh ] || ROOT=$(CDPATH='' cd -- "${0%/*}/../.." && pwd)
BIN=${BIN:-$ROOT/bin}
PYTHON=${PYTHON:-/usr/bin/python3}
SANITIZE=${SANITIZE:-}
ANNA=${CHARPIPE_ANNA:-$ROOT/../shared/data/anna.txt}
[ -r "$ANNA" ] || ANNA=
# shellcheck disable=SC2034 # for the tests
tools=$(sed -n 's/^TOOLS *= *//p' "$ROOT/Makefile")
TMP=$(mktemp -d "${TMPDIR:-/tmp}/charpipe-test.XXXXXX") || exit 1
trap 'rm -rf "$TMP"' EXIT
trap 'exit 1' HUP INT TERM
PATH=$BIN:$PATH
tests_run=0
tests_failed=0
export BIN PYTHON TMP PATH LC_ALL=C.UTF-8
unset TMPDIR NO_COLOR

# Prints lines as TAP comments.
diag() {
    printf '%s\n' "$@" | sed 's/^/# /' >&2
}

# result RC DESCRIPTION: the line of one test; what explains a failure is printed after it by diag.
result() {
    tests_run=$((tests_run + 1))
    if [ "$1" -eq 0 ]; then
        printf 'ok %d - %s\n' "$tests_run" "$2"
        return 0
    fi
    printf 'not ok %d - %s\n' "$tests_run" "$2"
    tests_failed=$((tests_failed + 1))
    return 1
}

# ok DESCRIPTION COMMAND...: the command succeeds. Its output goes to $TMP/out and $TMP/err.
ok() {
    status 0 "$@"
}

# status EXPECTED DESCRIPTION COMMAND...: the command ends with this exit status. Its output goes to
# $TMP/out and $TMP/err. A command needing pipes or redirections is written: sh -c 'a | b'.
status() {
    expected=$1 description=$2
    shift 2
    "$@" >"$TMP/out" 2>"$TMP/err" && rc=0 || rc=$?
    result "$((rc != expected))" "$description" ||
        diag "command:  $*" "expected: status $expected" "got:      status $rc" \
            "$(head -c 2000 "$TMP/err")"
}

# fails EXPECTED PATTERN DESCRIPTION COMMAND...: as status, and stderr is one line that matches the
# extended regular expression.
fails() {
    expected=$1 pattern=$2 description=$3
    shift 3
    "$@" >"$TMP/out" 2>"$TMP/err" && rc=0 || rc=$?
    [ "$rc" -eq "$expected" ] && [ "$(wc -l <"$TMP/err")" -eq 1 ] &&
        grep -Eq -e "$pattern" "$TMP/err"
    result "$?" "$description" ||
        diag "command:  $*" "expected: status $expected, one line with: $pattern" \
            "got:      status $rc" "$(head -c 2000 "$TMP/err")"
}

# is ACTUAL EXPECTED DESCRIPTION: two strings are the same.
is() {
    [ "$1" = "$2" ]
    result "$?" "$3" || diag "expected: $2" "got:      $1"
}

# like TEXT PATTERN DESCRIPTION: a text has a line that matches the extended regular expression.
like() {
    printf '%s\n' "$1" | grep -Eq -e "$2"
    result "$?" "$3" || diag "expected: $2" "got:      $1"
}

# same FILE FILE DESCRIPTION: two files have the same bytes.
same() {
    cmp -s "$1" "$2"
    result "$?" "$3" || diag "$(cmp "$1" "$2" 2>&1)"
}

# skip DESCRIPTION REASON: a test that can't run here.
skip() {
    tests_run=$((tests_run + 1))
    printf 'ok %d - %s # SKIP %s\n' "$tests_run" "$1" "$2"
}

# skip_all REASON: ends the whole test.
skip_all() {
    printf '1..0 # SKIP %s\n' "$1"
    exit 0
}

# needs_anna DESCRIPTION: true if the text is there, else the test is skipped.
needs_anna() {
    [ -n "$ANNA" ] || {
        skip "$1" "no anna.txt (set CHARPIPE_ANNA)"
        return 1
    }
}

# True in a build with sanitizers, where memory and time say nothing.
sanitized() {
    [ -n "$SANITIZE" ]
}

# peak_memory COMMAND...: prints the peak resident memory in KiB; output to $TMP/out and $TMP/err.
peak_memory() {
    "$PYTHON" -c '
import resource, subprocess, sys
with open(sys.argv[1] + "/out", "wb") as out, open(sys.argv[1] + "/err", "wb") as err:
    rc = subprocess.call(sys.argv[2:], stdout=out, stderr=err)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(rc)' "$TMP" "$@"
}

# on_terminal COMMAND...: runs it with its standard output and standard error on a terminal of 80
# columns; what the terminal got goes to $TMP/terminal; returns the command's status.
on_terminal() {
    "$PYTHON" -c '
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
with open(sys.argv[1], "wb") as f:
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        f.write(data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$TMP/terminal" "$@"
}

done_testing() {
    printf '1..%d\n' "$tests_run"
    [ "$tests_run" -gt 0 ] && [ "$tests_failed" -eq 0 ] || exit 1
    exit 0
}
