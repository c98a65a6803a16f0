"""train under mpirun: a rank that is killed ends them all soon, with a line that says which it was, and the
run goes on from its checkpoint with any number of ranks, or without mpirun, to the model and the log of the
run that nobody disturbed.

SEED=N chooses other moments, KILLS=N another number of them."""
import random, time
from durable import *

KILLS = int(os.environ.get("KILLS", "30"))
SOON = 10  # seconds, in which all ranks have to be gone
NUMBER = re.compile(rb"(?:^|\0)(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)\0")

seed = int(os.environ.get("SEED", "1"))
rng = random.Random(seed)
print("# seed", seed)
if not shutil.which("mpirun"):
    skip_all("no mpirun here (./bootstrap installs it)")
plugin = plugin_folder("charpipe-mpi.so")
if not plugin:
    skip_all("no charpipe-mpi.so (make mpi builds it)")
ENV.update(CHARPIPE_PLUGIN_DIR=plugin, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

tap = Tap()
os.chdir(tap.folder)
# Four blocks of rows, of which the last one is smaller.
make_shards("shards", lines=1500, rows=101, window=12)
STEPS, EVERY = 240, 7
OPTIONS = ["-H", "24", "-L", "2", "-r", "0.05", "--eval-every", "13", "--checkpoint-every", str(EVERY)]


def clean():
    for name in os.listdir("."):
        if name != "shards" and not name.startswith("straight"):
            os.remove(name)


def begin(ranks):
    """Starts or resumes the run; 0 ranks: without mpirun."""
    words = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
    words += [os.path.join(BIN, "train"), "-q", "-j", "1", "--steps", str(STEPS), "-l", "log", "-o", "model"]
    words += ["--resume", "run"] if os.path.exists("run") else OPTIONS + ["--checkpoint", "run"]
    return subprocess.Popen(words + ["shards"], env=ENV, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)


def ranks_of(run):
    """The processes of a run, by their ranks."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/cwd" % pid) != os.getcwd() or read_bytes("/proc/%s/comm" % pid) != b"train\n":
                continue
            number = NUMBER.search(read_bytes("/proc/%s/environ" % pid))
            found[int(number.group(1)) if number else 0] = int(pid)
        except (OSError, ValueError):
            pass  # it has ended
    return found


def same(what):
    """Whether a run has ended with what the first one did."""
    if not os.path.exists("straight.model"):
        os.rename("model", "straight.model")
        os.rename("log", "straight.log")
    elif read_bytes("model") != read_bytes("straight.model"):
        problems.append("%s: the model is another" % what)
    elif facts("log") != facts("straight.log"):
        problems.append("%s: the log is another" % what)


problems, lengths = [], {}
for ranks in range(5):
    clean()
    started = time.monotonic()
    run = begin(ranks)
    said = run.communicate()[1].decode()
    lengths[ranks] = time.monotonic() - started
    if run.returncode != 0:
        problems += ["%d ranks: status %d:" % (ranks, run.returncode), *said.splitlines()]
    else:
        same("%d ranks" % ranks)
tap.ok(not problems, "without mpirun and with 1 to 4 ranks: same model, same log", *problems)

steps, slowest = set(), [0]


def kill(run, ranks):
    """Kills a rank of the run, and looks at what the others do."""
    while run.poll() is None and len(ranks_of(run)) < max(1, ranks):
        time.sleep(0.01)
    victims = ranks_of(run)
    if run.poll() is not None or not victims:
        return False
    rank = rng.choice(sorted(victims))
    os.kill(victims[rank], signal.SIGKILL)
    began = time.monotonic()
    what = "rank %d of %d killed" % (rank, ranks)
    try:
        said = run.communicate(timeout=SOON)[1].decode()
        while ranks_of(run) and time.monotonic() - began < SOON:
            time.sleep(0.05)
    except subprocess.TimeoutExpired:
        said = ""
    slowest[0] = max(slowest[0], time.monotonic() - began)
    if run.poll() is None or ranks_of(run):
        problems.append("%s: still there after %d s are ranks %s" % (what, SOON, sorted(ranks_of(run))))
        run.terminate()
        run.communicate()
    elif run.returncode == 0:
        problems.append("%s: status 0" % what)
    elif ranks > 1 and ("rank %d " % rank not in said or len(re.findall("^train: ", said, re.M)) > 1):
        problems += ["%s: it says:" % what, *said.splitlines()]
    return True


def look():
    """What a killed run leaves."""
    found = 0
    if os.path.exists("run"):
        try:
            found = state_of("run")[0]
        except Exception as e:
            problems.append("the checkpoint is damaged: %r" % e)
    steps.add(found)
    if found < saved_before("log", EVERY):
        problems.append("the checkpoint is of step %d, though %d was saved" % (found, saved_before("log", EVERY)))


kills, runs = 0, 0
while kills < KILLS and not problems:
    clean()
    last = None
    while not problems:
        last = ranks = rng.choice([n for n in range(5) if n != last])
        run = begin(ranks)
        try:
            said = run.communicate(timeout=rng.uniform(0, 0.8) * lengths[ranks])[1].decode()
        except subprocess.TimeoutExpired:
            if kill(run, ranks):
                kills += 1
                look()
                continue
            said = run.communicate()[1].decode()
        if run.returncode != 0:
            problems += ["%d ranks: status %d:" % (ranks, run.returncode), *said.splitlines()]
        break
    runs += 1
    if not problems:
        same("run %d" % runs)
tap.ok(not problems and len(steps) > KILLS // 5, "%d kills of a rank in %d runs, which went on from %d different steps with other "
       "ranks: all gone within %.1f s, same model, same log" % (kills, runs, len(steps), slowest[0]), *problems)
tap.done()
