"""What a power cut leaves of a run's files. The calls by which train changes files are taken from strace;
the cut comes behind each of them. Of what was not synced by then, every file keeps all, nothing, the first
half, or zeros of the right length, and every directory any of its unsynced changes: whatever is on the
disk afterwards, checkpoint and model are whole or not there, no older than the last that was complete, and
the run goes on to the same end. So for a run from its beginning, and for one that was killed and resumed."""
import copy, itertools
from durable import *

if not strace_works():
    skip_all("no strace here, or it may not trace")
tap = Tap()
os.chdir(tap.folder)
make_shards("shards")
STEPS, EVERY = (9, 2) if LONG else (7, 2)
RUN = ["-H", "3", "-L", "1", "-j", "1", "--steps", str(STEPS), "--checkpoint-every", str(EVERY), "--eval-every", "2",
       "-q", "-l", "log", "-o", "model", "--checkpoint", "run", "shards"]
RESUME = ["-j", "1", "--steps", str(STEPS), "-q", "-l", "log", "-o", "model", "--resume", "run", "shards"]
CALLS = "openat,write,fsync,fdatasync,rename,linkat,link,unlink,ftruncate,close,lseek"


class File:
    def __init__(self, synced=b""):
        self.synced, self.written = synced, synced
        self.pending = []  # states between the two

    def write(self, data):
        self.pending.append(self.written)
        self.written += data

    def cut(self, length):
        self.pending.append(self.written)
        self.written = self.written[:length]

    def sync(self):
        self.synced, self.pending = self.written, []

    def after_cut(self):
        """The contents that may be found."""
        if self.synced == self.written:
            return [self.synced]
        n, m = len(self.synced), len(self.written)
        return list(dict.fromkeys([self.synced, self.written, self.written[:(n + m) // 2],
                                   self.synced + bytes(max(0, m - n))] + self.pending[-2:]))


class Disk:
    """One directory. An unsynced change of it is (name, file or None for its removal)."""

    def __init__(self, names):
        self.synced, self.now, self.changes = dict(names), dict(names), []

    def change(self, *changes):
        self.changes.append(changes)  # a rename is two, and atomic
        for name, file in changes:
            if file is None:
                self.now.pop(name, None)
            else:
                self.now[name] = file

    def sync(self):
        self.synced, self.changes = dict(self.now), []

    def after_cut(self):
        """Any choice of the unsynced changes, in their order; of many the first n."""
        n = len(self.changes)
        chosen = itertools.product([0, 1], repeat=n) if n <= 6 else ([1] * k + [0] * (n - k) for k in range(n + 1))
        for choice in chosen:
            names = dict(self.synced)
            for taken, changes in zip(choice, self.changes):
                for name, file in changes if taken else []:
                    if file is None:
                        names.pop(name, None)
                    else:
                        names[name] = file
            yield names


def decode(text):
    return bytes(int(h, 16) for h in re.findall(r"\\x(..)", text))


def trace(run):
    """A run's calls as (call, arguments, result)."""
    subprocess.run(["strace", "-f", "-qq", "-xx", "-s", "10000000", "-o", "trace", "-e", "trace=" + CALLS,
                    os.path.join(BIN, "train"), *run], env=ENV, check=True)
    with open("trace") as f:
        lines = f.read().split("\n")
    os.remove("trace")
    for line in lines:
        match = re.match(r"\d+ +(\w+)\((.*)\) += (-?\d+)", line)
        if match and int(match[3]) >= 0:
            yield match[1], match[2], int(match[3])


def path(text):
    """The name in our folder that the n-th quoted string of a call means, "." for the folder, or None."""
    name = os.path.normpath(os.path.join(tap.folder, decode(text).decode()))
    if name == tap.folder:
        return "."
    return os.path.basename(name) if os.path.dirname(name) == tap.folder else None


# Plays the calls; after each one, looks at all that a cut may leave.
disk, seen, wrong, states, cuts = None, {}, [], 0, 0
newest, model_synced = 0, False  # the checkpoint that must not be lost any more


def look(after):
    global states, cuts
    cuts += 1
    for names in disk.after_cut():
        tracked = [n for n in ("run", "run~", "model", "log") if n in names]
        for contents in itertools.product(*(names[n].after_cut() for n in tracked)):
            states += 1
            found = dict(zip(tracked, contents))
            key = tuple(sorted(found.items()))
            if key not in seen:
                seen[key] = judge(found)
            step, problem = seen[key]
            if problem:
                wrong.append("after %s: %s" % (after, problem))
            if step < newest:
                wrong.append("after %s: step %d was saved, found is %d" % (after, newest, step))
            if model_synced and "model" not in found:
                wrong.append("after %s: the model is lost" % after)


def judge(found):
    """The step of the checkpoint found, and what is wrong."""
    step = 0
    import json, zlib
    for name in "run~", "run":
        if name not in found:
            continue
        with open("found", "wb") as f:
            f.write(found[name])
        try:
            _, _, metadata = read_model("found")
        except Exception as e:
            return step, "%s is damaged: %r" % (name, e)
        counters = json.loads(metadata["checkpoint"])
        log = counters["log"]
        if zlib.crc32(found.get("log", b"")[:log["bytes"]]) != int(log["crc32"], 16):
            return step, "%s counts on a log that is not there" % name
        if name == "run":
            step = counters["step"]
    if "model" in found and found["model"] != model:
        return step, "the model is damaged"
    return step, None


def play(run, names):
    """What train's calls with these options make of a disk that has these files."""
    global disk, newest, model_synced
    disk, model_synced, files = Disk(names), False, {}
    newest = judge({name: file.synced for name, file in names.items()})[0]
    for call, arguments, result in list(trace(run)):
        strings = re.findall(r'"((?:\\x..)*)"', arguments)
        fd = int(re.match(r"\d+", arguments)[0]) if re.match(r"\d", arguments) else None
        if call == "openat":
            name = path(strings[0])
            if name is None:
                continue
            if "O_TMPFILE" in arguments:
                files[result] = File()
            elif name == ".":
                files[result] = disk
            elif "O_RDONLY" in arguments:
                continue
            elif "O_CREAT" in arguments or name in disk.now:
                if name not in disk.now:
                    disk.change((name, File()))
                files[result] = disk.now[name]
            else:
                continue
        elif call == "close":
            files.pop(fd, None)
            continue
        elif call == "write" and fd in files:
            files[fd].write(decode(strings[0])[:result])
        elif call in ("fsync", "fdatasync") and fd in files:
            files[fd].sync()
        elif call == "ftruncate" and fd in files:
            files[fd].cut(int(arguments.split(",")[1]))
        elif call == "linkat":
            source = int(re.search(r"/fd/(\d+)$", decode(strings[0]).decode())[1])
            disk.change((path(strings[1]), files[source]))
        elif call == "link":
            disk.change((path(strings[1]), disk.now[path(strings[0])]))
        elif call == "rename":
            disk.change((path(strings[1]), disk.now[path(strings[0])]), (path(strings[0]), None))
        elif call == "unlink":
            disk.change((path(strings[0]), None))
        elif call == "lseek" and fd in files and "SEEK_END" not in arguments:
            sys.exit("writing elsewhere than at a file's end is more than this test follows")
        else:
            continue
        if call == "fsync" and files.get(fd) is disk:
            if "run" in disk.synced:
                newest = judge({n: f.synced for n, f in disk.synced.items() if n in ("run", "log")})[0]
            model_synced = "model" in disk.synced
        look("%s(%s)" % (call, decode(strings[0])[:40] if strings and call != "write" else fd))


# The paths that strace shows may be of a folder reached by links.
tap.folder = os.path.realpath(tap.folder)
os.chdir(tap.folder)
# The seconds in the log make each run's another.
must("train", *RUN)
model, rows = read_bytes("model"), facts("log")
# What a run leaves that was killed a step behind its checkpoint of step 4.
for name in "run", "run~", "log":
    os.remove(name)
must("train", *[{str(STEPS): "5", "model": "other"}.get(word, word) for word in RUN])
os.rename("run~", "run")
killed = {name: read_bytes(name) for name in ("run", "log")}
for name in "model", "run", "log", "other":
    os.remove(name)

play(RUN, {})
for name in "model", "run", "run~", "log":
    os.remove(name)
begun = cuts
if newest == STEPS and model_synced:
    for name, data in killed.items():
        with open(name, "wb") as f:
            f.write(data)
    play(RESUME, {name: File(data) for name, data in killed.items()})
tap.ok(len(seen) > STEPS and begun > 20 and cuts > begun + 10,
       "%d calls that change files, %d states after a cut, %d different ones" % (cuts, states, len(seen)))
tap.ok(not wrong, "in every state checkpoint, log and model are whole, and nothing that was saved is lost", *wrong[:10])
tap.ok(newest == STEPS and model_synced, "at the end everything is on the disk")

# The programs themselves, on the states that differ.
wrong, count = [], 0
for state in sorted(seen, key=repr):
    found = dict(state)
    if "run" not in found or (not LONG and count >= 12):
        continue
    count += 1
    for name in "run", "run~", "model", "log":
        if os.path.exists(name):
            os.remove(name)
        if name in found:
            with open(name, "wb") as f:
                f.write(found[name])
    done = tool("train", *RESUME)
    if done.returncode != 0:
        wrong.append(done.stderr.decode())
    elif read_bytes("model") != model or facts("log") != rows:
        wrong.append("resumed, model or log are others")
tap.ok(count > 0 and not wrong, "train goes on to the same end from %d of them" % count, *wrong[:10])
tap.done()
