"""What the tests of durability share: TAP, a small run of train, and reading what it left.

A test is `$PYTHON tests/tools/NAME.py short|long`; NAME.t in tests/tools and tests/long call it."""
import atexit, os, re, shutil, signal, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("BIN", os.path.join(ROOT, "bin"))
LONG = sys.argv[1:] == ["long"]
# What nohup and background jobs ignore, train would ignore too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
# LeakSanitizer does not work under strace.
ENV = dict(os.environ, OPENBLAS_NUM_THREADS="1", LC_ALL="C.UTF-8", ASAN_OPTIONS="detect_leaks=0")

with open(os.path.join(ROOT, "formats", "model.md")) as page:
    exec(re.search(r"<!-- recipe: read -->\n```python\n(.*?)```", page.read(), re.S).group(1))


class Tap:
    def __init__(self):
        self.count, self.failed = 0, 0
        self.folder = tempfile.mkdtemp(prefix="charpipe-test.")
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def ok(self, good, what, *why):
        self.count += 1
        print("%sok %d - %s" % ("" if good else "not ", self.count, what), flush=True)
        if not good:
            self.failed += 1
            for line in why:
                print("#", line, file=sys.stderr)
        return good

    def skip(self, what, why):
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, what, why))

    def done(self):
        print("1..%d" % self.count)
        sys.exit(self.failed > 0)


def skip_all(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def tool(name, *args, **more):
    """Runs a program; its output is captured unless `more` says otherwise."""
    more.setdefault("stdout", subprocess.PIPE)
    more.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([os.path.join(BIN, name), *args], env=ENV, **more)


def must(name, *args, **more):
    done = tool(name, *args, **more)
    if done.returncode != 0:
        sys.exit("%s %s: status %d: %s" % (name, " ".join(args), done.returncode, done.stderr.decode()))
    return done


def make_shards(path, lines=60, rows=4, window=10):
    """A text of our own, so that the tests need none; 7 batches an epoch by default."""
    text = "".join("%d is the number after %d\n" % (i, i - 1) for i in range(lines)).encode()
    tokens = must("tokenize", "-q", input=text).stdout
    must("batchify", "-q", "-n", str(rows), "-m", str(window), "-x", "0.2", "-o", path, input=tokens)


def plugin_folder(name):
    """Where a plug-in lies that make has built; None if it hasn't."""
    folders = os.environ.get("B", os.path.join(ROOT, "build")), BIN
    return next((f for f in folders if os.path.exists(os.path.join(f, name))), None)


def strace_works():
    try:
        return subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=write:error=EIO:when=9999",
                               "true"], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def facts(path):
    """A log without the columns that tell of time."""
    with open(path) as f:
        return [line.rstrip("\n").split("\t")[:7] for line in f]


def state_of(path):
    """A checkpoint's step and all its numbers, in a form that can be compared; raises for a file that
    is not whole."""
    _, tensors, metadata = read_model(path)
    import json
    counters = json.loads(metadata["checkpoint"])
    # The log tells of times, and the CRC of a checkpoint follows from the log.
    counters.pop("log"), counters.pop("options"), counters.pop("kept", None)
    return counters["step"], metadata["training"], json.dumps(counters, sort_keys=True), {
        name: t.tobytes() for name, t in tensors.items()}


def numbered():
    """The checkpoints that have got names of their own, by their steps as their names tell them."""
    return {int(name[4:]): name for name in os.listdir(".") if re.fullmatch(r"run\.\d{6,}", name)}


def saved_before(log, every):
    """The step that a run has saved for certain: it did so before it wrote the log's last row."""
    rows = len(facts(log)) - 1 if os.path.exists(log) else 0
    return max(0, rows - 1) // every * every
