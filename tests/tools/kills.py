"""train killed again and again at random moments, by SIGKILL or by signals that it obeys, and resumed each
time: with other threads, from a file or from a pipe. In the end the model and the log are those of the
run that nobody disturbed. Then: stopped by a signal at every single step."""
import random, time
from durable import *

KILLS = 200 if LONG else 10
seed = int(os.environ.get("SEED", "1"))
rng = random.Random(seed)
tap = Tap()
os.chdir(tap.folder)
print("# seed", seed)
make_shards("shards", lines=300)
STEPS = 300
OPTIONS = ["-q", "-H", "24", "-L", "2", "-r", "0.01", "--eval-every", "11", "--checkpoint-every", "7"]
LIMIT = ["--steps", str(STEPS), "-l", "log", "-o", "model"]
SIGNALS = [signal.SIGKILL] * 7 + [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def clean():
    for name in os.listdir("."):
        if name != "shards" and not name.startswith("straight"):
            os.remove(name)


def begin(way=0):
    """Starts or resumes the run."""
    arguments = ["--resume", "run"] if os.path.exists("run") else OPTIONS + ["--checkpoint", "run"]
    arguments = ["-q", "-j", str(1 + way % 2), *arguments, *LIMIT]
    if way & 2:
        return subprocess.Popen("cat shards | exec '%s/train' %s" % (BIN, " ".join(arguments)), shell=True,
                                env=ENV, stderr=subprocess.PIPE, start_new_session=True)
    return subprocess.Popen([os.path.join(BIN, "train"), *arguments, "shards"], env=ENV,
                            stderr=subprocess.PIPE, start_new_session=True)


started = time.monotonic()
run = begin()
said = run.communicate()[1]
length = time.monotonic() - started
if run.returncode != 0:
    sys.exit(said.decode())
os.rename("model", "straight.model")
os.rename("log", "straight.log")
model, rows = read_bytes("straight.model"), facts("straight.log")

kills, runs, problems = 0, 0, []
while kills < KILLS and not problems:
    clean()
    for way in range(10000):
        run = begin(rng.randrange(4))
        number = rng.choice(SIGNALS)
        try:
            said = run.communicate(timeout=rng.uniform(0, 0.6) * length)[1]
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, number)
            said = run.communicate()[1]
            kills += 1
            if number != signal.SIGKILL and run.returncode not in (0, -number, 128 + number):
                problems.append("%s: status %d: %s" % (number.name, run.returncode, said.decode()))
            if os.path.exists("run"):
                try:
                    state_of("run")
                except Exception as e:
                    problems.append("the checkpoint is damaged: %r" % e)
            continue
        if run.returncode != 0:
            problems.append("status %d: %s" % (run.returncode, said.decode()))
        break
    runs += 1
    if not problems and read_bytes("model") != model:
        problems.append("run %d: the model is another" % runs)
    if not problems and facts("log") != rows:
        problems.append("run %d: the log is another" % runs)
tap.ok(not problems, "%d kills of %d runs of %.1f s: same model, same log" % (kills, runs, length), *problems)

# A row of the log is one write: strace sends a signal with the write of row n, so that the run stops
# after step n. One more write, the header, comes before.
if strace_works():
    steps, wrong = (60 if LONG else 12), []
    LIMIT[1] = str(steps)
    OPTIONS[OPTIONS.index("24")] = "4"
    clean()
    begin().communicate()
    model, rows = read_bytes("model"), facts("log")
    for n in range(1, steps + 1):
        clean()
        done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-P", os.path.join(tap.folder, "log"), "-e", "trace=write",
                               "-e", "inject=write:signal=TERM:when=%d" % (n + 1), os.path.join(BIN, "train"),
                               "-q", "-j", "1", *OPTIONS, *LIMIT, "--checkpoint", "run", "shards"],
                              env=ENV, stderr=subprocess.PIPE)
        if done.returncode != -signal.SIGTERM:
            wrong.append("step %d: ended with %d: %s" % (n, done.returncode, done.stderr.decode()))
            continue
        if state_of("run")[0] != n or facts("log") != rows[:n + 1] or not os.path.exists("model"):
            wrong.append("step %d: the checkpoint is of step %d, the log has %d rows" % (n, state_of("run")[0], len(facts("log")) - 1))
        begin(n).communicate()
        if read_bytes("model") != model or facts("log") != rows:
            wrong.append("step %d: resumed, model or log are others" % n)
    tap.ok(not wrong, "stopped by SIGTERM after each of %d steps and resumed: same model, same log" % steps, *wrong)
else:
    tap.skip("stopped by a signal after each step", "no strace here, or it may not trace")
tap.done()
