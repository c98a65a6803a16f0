"""Some hosts on this one: network namespaces on a switch (wire.c), each with a name, a home and an empty
folder of its own. `mpirun` starts programs on them by an agent that takes ssh's place.

Needs root, /dev/net/tun and ip(8); Hosts raises Missing where they aren't."""
import os, shlex, shutil, subprocess, tempfile

NET = "10.77.0."


class Missing(Exception):
    """What hosts need is not here, or may not be used."""


# $1: a host's address. The rest is a command for its shell, as with ssh; as there, little is inherited.
# Where the first host, mpirun's, has its files, the others have an empty folder.
AGENT = """#!/bin/sh
number=${1#%(net)s}
shift
exec ip netns exec %(prefix)s$number unshare --mount --uts sh -c '
    hostname host$0
    [ "$0" = 1 ] || mount -t tmpfs none %(files)s
    cd %(folder)s/host$0
    exec env -i PATH="$PATH" HOME="$PWD" TMPDIR="$PWD" LC_ALL=C.UTF-8 sh -c "$1"' "$number" "$*"
"""


class Hosts:
    def __init__(self, wire, count, mbit=0, microseconds=0):
        """`mbit`: what each cable carries in a second, 0 for as much as can be; `microseconds`: how long
        everything is under way."""
        if os.geteuid() != 0:
            raise Missing("root alone makes hosts")
        for program in "ip", "unshare", "mpirun":
            if not shutil.which(program):
                raise Missing("no %s here (./bootstrap installs it)" % program)
        self.folder = tempfile.mkdtemp(prefix="charpipe-hosts.")
        self.files = os.path.join(self.folder, "files")  # of the first host alone
        self.agent = os.path.join(self.folder, "agent")
        self.prefix = os.path.basename(self.folder) + "-"
        self.count, self.wire = count, None
        os.mkdir(self.files)
        with open(self.agent, "w") as f:
            f.write(AGENT % {"net": NET, "prefix": self.prefix, "files": shlex.quote(self.files),
                             "folder": shlex.quote(self.folder)})
        os.chmod(self.agent, 0o755)
        names = ["%s%d" % (self.prefix, k) for k in range(1, count + 1)]
        try:
            for name in names:
                self.ip("netns", "add", name)
            self.wire = subprocess.Popen([wire, str(mbit), str(microseconds), *names],
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if not self.wire.stdout.readline():
                raise Missing(self.wire.stderr.read().decode().strip())
            for k, name in enumerate(names, 1):
                os.mkdir(os.path.join(self.folder, "host%d" % k))
                self.ip("-n", name, "address", "add", NET + "%d/24" % k, "dev", "eth0")
                for link in "lo", "eth0":
                    self.ip("-n", name, "link", "set", link, "up")
        except BaseException:
            self.close()
            raise

    def ip(self, *words):
        done = subprocess.run(["ip", *words], stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise Missing("ip %s: %s" % (" ".join(words), done.stderr.decode().strip()))

    def on(self, k, *words):
        """A command that runs `words` on host k, from 1 on, as ssh would; of host 1 in `files`."""
        command = " ".join(map(shlex.quote, words))
        return [self.agent, NET + str(k), ("cd %s && " % shlex.quote(self.files) if k == 1 else "") + command]

    def mpirun(self, ranks, *words):
        """A command that runs `words` on the hosts, a rank on each of the first `ranks`, or with a list
        so many on each. Each host would bind its first rank to the machine's first core."""
        slots = ranks if isinstance(ranks, list) else [1] * ranks
        where = ",".join("%s%d:%d" % (NET, k, n) for k, n in enumerate(slots, 1) if n)
        return self.on(1, "env", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
                       "mpirun", "--mca", "plm_rsh_agent", self.agent, "--mca", "plm_rsh_no_tree_spawn", "1",
                       "--bind-to", "none",
                       "--host", where, "-n", str(sum(slots)), *words)

    def link(self, k, state):
        """Sets the network card of host k "up" or "down"."""
        self.ip("-n", "%s%d" % (self.prefix, k), "link", "set", "eth0", state)

    def processes(self, k):
        """The numbers of the processes that run on host k."""
        done = subprocess.run(["ip", "netns", "pids", "%s%d" % (self.prefix, k)], stdout=subprocess.PIPE)
        return list(map(int, done.stdout.split()))

    def close(self):
        for k in range(1, self.count + 1):
            for pid in self.processes(k):
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
        if self.wire:
            self.wire.kill()
            self.wire.wait()
        for k in range(1, self.count + 1):
            subprocess.run(["ip", "netns", "delete", "%s%d" % (self.prefix, k)], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
