"""train killed again and again at random moments, by SIGKILL or by signals that it obeys, and resumed each
time: with other threads, from a file or from a pipe. In the end the model and the log are those of the
run that nobody disturbed. Then: stopped by a signal at every single step.

So many SIGKILLs; the other signals come on top."""
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
EVERY = 7
# At this rate the best model comes half-way, so that it must be kept and found again.
OPTIONS = ["-q", "-H", "24", "-L", "2", "-r", "0.1", "--eval-every", "11", "--checkpoint-every", str(EVERY),
           "--checkpoint-keep", "2"]
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

kills, runs, problems = dict.fromkeys(SIGNALS, 0), 0, []
steps = set()  # that a killed run went on after


def look(number, status, said):
    """What a run leaves that was killed."""
    if number != signal.SIGKILL and status not in (0, -number, 128 + number):
        problems.append("%s: status %d: %s" % (number.name, status, said.decode()))
    found = {"run": 0, "run~": 0}
    for name in found:
        try:
            found[name] = state_of(name)[0]
        except FileNotFoundError:
            pass
        except Exception as e:
            problems.append("%s: %s is damaged: %r" % (number.name, name, e))
    steps.add(found["run"])
    if found["run"] < max(saved_before("log", EVERY), found["run~"]):
        problems.append("%s: found are steps %s, though %d was saved" % (number.name, found, saved_before("log", EVERY)))


while kills[signal.SIGKILL] < KILLS and not problems:
    clean()
    # The longer a run takes, the longer it is left alone: a machine that has become slow gets there too.
    for way in range(1000):
        run = begin(rng.randrange(4))
        number = rng.choice(SIGNALS)
        try:
            said = run.communicate(timeout=rng.uniform(0, 0.6) * length * (1 + way / 8))[1]
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, number)
            said = run.communicate()[1]
            kills[number] += 1
            look(number, run.returncode, said)
            continue
        if run.returncode != 0:
            problems.append("status %d: %s" % (run.returncode, said.decode()))
        break
    runs += 1
    kept = {step: state_of(name)[0] for step, name in numbered().items()}
    if len(kept) != 2 or any(a != b for a, b in kept.items()):
        problems.append("run %d: of which steps checkpoints are kept: %s" % (runs, kept))
    if not problems and read_bytes("model") != model:
        problems.append("run %d: the model is another" % runs)
    if not problems and facts("log") != rows:
        problems.append("run %d: the log is another" % runs)
tap.ok(not problems and len(steps) > KILLS // 10, "%s of %d runs of %.1f s, which went on from %d different steps: "
       "same model, same log" % (", ".join("%d %s" % (n, number.name) for number, n in kills.items()), runs, length,
                                 len(steps)), *problems)

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
    # SIGUSR1 after step 9, between two checkpoints that are due, and none of them is missing.
    clean()
    done = subprocess.run(["strace", "-qq", "-o", "trace", "-P", os.path.join(tap.folder, "log"), "-e", "trace=write",
                           "-e", "inject=write:signal=USR1:when=10", os.path.join(BIN, "train"), "-q", "-j", "1", *OPTIONS,
                           "--steps", "10", "-l", "log", "-o", "model", "--checkpoint", "run", "shards"],
                          env=ENV, stderr=subprocess.PIPE)
    saved = [state_of(name)[0] for name in ("run", "run~")] if done.returncode == 0 else done.stderr.decode()
    tap.ok(saved == [10, 9], "SIGUSR1 saves after the step that it came in, and the run goes on", saved)
else:
    tap.skip("stopped by a signal after each step", "no strace here, or it may not trace")
    tap.skip("SIGUSR1 saves after the step that it came in", "no strace here, or it may not trace")
tap.done()
