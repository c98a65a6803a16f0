"""train on four hosts (hosts.py), of which the first alone has files: the model of one host; then the
network or a host fails, all ranks end within ten seconds, and the run goes on on other hosts to the same
model.

SEED=N chooses other moments."""
import random, sys, time

sys.dont_write_bytecode = True
sys.path.insert(0, sys.path[0] + "/../tools")
from durable import *
from hosts import *

SOON = 10  # seconds, in which all ranks have to be gone
HOSTS, MBIT, MICROSECONDS = 4, 1000, 500
STEPS, EVERY = 150, 5
CONF = os.path.join(ROOT, "examples", "cluster", "openmpi.conf")

seed = int(os.environ.get("SEED", "1"))
rng = random.Random(seed)
print("# seed", seed)
plugin = plugin_folder("charpipe-mpi.so")
if not plugin:
    skip_all("no charpipe-mpi.so (make mpi builds it)")
try:
    hosts = Hosts(os.path.join(os.environ.get("B", ROOT + "/build"), "tests/hosts/wire"), HOSTS, MBIT, MICROSECONDS)
except Missing as e:
    skip_all("no hosts: %s" % e)
atexit.register(hosts.close)
tap = Tap()
os.chdir(hosts.files)

# Two layers, so that there is something to send while something is computed; five blocks of rows.
make_shards("shards", lines=3000, rows=130, window=20)
OPTIONS = ["-H", "64", "-L", "2", "-r", "0.01", "--eval-every", "13", "--checkpoint-every", str(EVERY)]


def begin(ranks):
    """Starts or resumes the run, a rank on each of so many hosts."""
    words = ["-x", "CHARPIPE_PLUGIN_DIR=" + plugin, os.path.join(BIN, "train"), "-q", "-j", "1", "--steps", str(STEPS),
             "-l", "log", "-o", "model"]
    words += ["--resume", "run"] if os.path.exists("run") else OPTIONS + ["--checkpoint", "run"]
    return subprocess.Popen(hosts.mpirun(ranks, "--tune", CONF, *words, "shards"), stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)


def clean():
    for name in os.listdir("."):
        if name != "shards":
            os.remove(name)


def left():
    return [pid for k in range(1, HOSTS + 1) for pid in hosts.processes(k)]


def lose(k):
    """All that runs on host k ends at once, and nothing answers for it."""
    hosts.link(k, "down")
    for pid in hosts.processes(k):
        os.kill(pid, signal.SIGKILL)


def fail(what, do, undo):
    """Lets something fail half-way through, looks at how the run ends, and ends it with other ranks."""
    clean()
    ranks, others = rng.sample((2, 3, 4), 2)
    run = begin(ranks)
    moment = rng.uniform(0.2, 0.7) * STEPS
    while run.poll() is None and (not os.path.exists("log") or len(facts("log")) < moment):
        time.sleep(0.01)
    began, problems, said = time.monotonic(), [], ""
    do(ranks)
    try:
        said = run.communicate(timeout=SOON)[1].decode()
    except subprocess.TimeoutExpired:
        run.terminate()
    while left() and time.monotonic() - began < SOON:
        time.sleep(0.05)
    seconds = time.monotonic() - began
    if left():
        problems.append("still running: " + ", ".join(str(read_bytes("/proc/%d/comm" % pid)) for pid in left()))
        for pid in left():
            os.kill(pid, signal.SIGKILL)
    if run.poll() == 0:
        problems.append("status 0")
    # mpirun tells what it has lost in a paragraph; train adds one line at most.
    if not re.search("lost|rank", said) or len(re.findall("^train: ", said, re.M)) > 1:
        problems += ["it says:", *said.splitlines()]
    undo()
    step = state_of("run")[0] if os.path.exists("run") else 0
    if step < saved_before("log", EVERY):
        problems.append("the checkpoint is of step %d, though %d was saved" % (step, saved_before("log", EVERY)))
    run = begin(others)
    said = run.communicate()[1].decode()
    if run.returncode != 0:
        problems += ["resumed: status %d:" % run.returncode, *said.splitlines()]
    elif read_bytes("model") != model or facts("log") != rows:
        problems.append("resumed, model or log are others")
    tap.ok(not problems, "%s: %d hosts end within %.1f s, and from step %d on %d go on to the same model" %
           (what, ranks, seconds, step, others), *problems)


done = tool("train", "-q", *OPTIONS, "--steps", str(STEPS), "-l", "log", "-o", "model", "shards")
if done.returncode != 0:
    sys.exit(done.stderr.decode())
model, rows = read_bytes("model"), facts("log")
clean()
run = begin(HOSTS)
said = run.communicate()[1].decode()
tap.ok(run.returncode == 0 and read_bytes("model") == model and facts("log") == rows,
       "%d hosts, %d Mbit/s and %d µs between them, without a file in common: the model and log of one" %
       (HOSTS, MBIT, MICROSECONDS), "status %d" % run.returncode, *said.splitlines())
last = [0]


def another(ranks):
    last[0] = rng.randint(2, ranks)
    return last[0]


fail("a host's link goes down", lambda ranks: hosts.link(another(ranks), "down"), lambda: hosts.link(last[0], "up"))
fail("the first host's link goes down", lambda ranks: hosts.link(1, "down"), lambda: hosts.link(1, "up"))
fail("a host is gone", lambda ranks: lose(another(ranks)), lambda: hosts.link(last[0], "up"))
fail("the switch stands still", lambda ranks: hosts.wire.send_signal(signal.SIGSTOP),
     lambda: hosts.wire.send_signal(signal.SIGCONT))
tap.done()
