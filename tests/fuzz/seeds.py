#!/usr/bin/python3
"""Writes the seed corpora of the fuzz targets from the golden files, a folder for each target.

    tests/fuzz/seeds.py FOLDER TRAIN

TRAIN, the program, makes a model and a checkpoint over the golden wrap.shards.

For the targets that take every CRC to be 0 the files' CRCs are set to 0."""
import glob, gzip, json, os, re, struct, subprocess, sys, tempfile, zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "tools"))
sys.dont_write_bytecode = True
from lies import lies


def golden(pattern):
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "golden", pattern))):
        with open(path, "rb") as f:
            yield os.path.basename(path), f.read()


def stream_without_crcs(file):
    """As far as the file can be followed."""
    file = bytearray(file)
    crc = file.find(b" crc=", 0, 64)
    if crc > 0:
        file[crc + 5:crc + 13] = b"0" * 8
    try:
        at = int(file[file.index(b"header=", 0, 64) + 7:][:8])
    except ValueError:
        return file
    while len(file) - at >= 32:
        size, = struct.unpack_from("<Q", file, at + 8)
        file[at + 24:at + 32] = bytes(8)
        if file[at:at + 4] == b"ENDS" and len(file) - at >= 56:
            file[at + 48:at + 52] = bytes(4)
        at += (32 + size + 63) // 64 * 64
    return file


def model_without_crc(file):
    key = b'{"__metadata__":{"crc32":"'
    return file[:34] + b"0" * 8 + file[42:] if file[8:34] == key else file


def state(h=(2, 1, 3), logits=(4,), names=("h", "c", "logits"), dtype="F32", first=None, **metadata):
    """A state of fuzz_state.c's model by formats/state.md, or something like one."""
    tensors, at = {}, 0
    for name in names:
        shape = logits if name == "logits" else h
        size = 4
        for d in shape:
            size *= d
        tensors[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    metadata = {"crc32": "0" * 8, "charpipe_state": "1", "format": "pt", "model_crc32": "01234567", **metadata}
    n = at // 4
    data = struct.pack(f"<{n}f", *(first if first is not None else k / 7 - 1 for k in range(n)))
    head = json.dumps({"__metadata__": metadata, **tensors}, separators=(",", ":")).encode()
    head += b" " * (-(8 + len(head)) % 64)
    file = struct.pack("<Q", len(head)) + head + data
    return file[:34] + b"%08x" % zlib.crc32(file) + file[42:]


def states():
    yield "valid", state()
    yield "compressed", gzip.compress(state(), mtime=0)
    yield "cut", state()[:-5]
    yield "longer", state() + b"x"
    yield "newer", state(charpipe_state="3")
    yield "of-a-gru", state(names=("h", "logits"), charpipe_state="2", cell="gru")
    yield "of-no-cell", state(cell="lstn")
    yield "of-another-model", state(model_crc32="76543210")
    yield "other-shape", state(h=(1, 2, 3))
    yield "another-model's", state(h=(1, 1, 4), logits=(8,), model_crc32="76543210")
    yield "no-rows", state(h=(256, 0, 65536), logits=(16,))
    yield "fewer-symbols", state(logits=(2, 2))
    yield "other-names", state(names=("c", "h", "logits"))
    yield "two-tensors", state(names=("h", "c"))
    yield "integers", state(dtype="I32")
    for name, x in ("nan", float("nan")), ("infinity", float("inf")):
        yield name, state(first=x)


def trained(train):
    """A model of one step, and checkpoints of two: without an evaluation yet, with one (of a GRU, too), of
    Muon's with an average, and of a run that was changed on its way."""
    shards = os.path.join(ROOT, "tests", "golden", "streams", "wrap.shards")
    with tempfile.TemporaryDirectory() as folder:
        def run(*options):
            subprocess.run([train, "-q", "-j", "1", "-H", "3", "-D", "cpu", *options, shards],
                           check=True, cwd=folder, stdout=subprocess.DEVNULL)
            with open(os.path.join(folder, options[-1]), "rb") as f:
                return f.read()
        return (run("--steps", "1", "-o", "model"),
                [run("--steps", "2", "--eval-every", "5", "--checkpoint", "early"),
                 run("--steps", "2", "--eval-every", "1", "--cell", "gru", "--checkpoint", "gru"),
                 run("--steps", "2", "--eval-every", "1", "-L", "1", "--checkpoint", "late"),
                 run("--steps", "2", "--optimizer", "muon", "--average", "0.9", "--schedule", "cosine",
                     "--warmup", "1", "--checkpoint", "muon"),
                 run("--steps", "1", "--checkpoint", "changed") and
                 run("--steps", "2", "--change", "-d", "0.25", "--resume", "changed")])


def checkpoint_without_crcs(file):
    return model_without_crc(re.sub(rb'(crc32\\\\?":\\\\?")[0-9a-f]{8}', rb"\g<1>00000000", file))


def write(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def main(to, train):
    model, checkpoints = trained(train)
    models = [("trained", model)] + list(golden("model/*.safetensors"))
    for target in "init", "sample", "evalloss":
        for name, file in models:
            write(f"{to}/{target}", name, file)
            write(f"{to}/{target}-nocrc", name, model_without_crc(file))
    write(f"{to}/model", "trained", model)
    write(f"{to}/model-nocrc", "trained", model_without_crc(model))
    for i, file in enumerate(checkpoints):
        for target in "resume", "init", "evalloss":
            write(f"{to}/{target}", f"checkpoint-{i}", file)
            write(f"{to}/{target}-nocrc", f"checkpoint-{i}", checkpoint_without_crcs(file))
    for name, file in golden("streams/[wh]*.tokens"):
        write(f"{to}/evalloss", name, file)
        write(f"{to}/evalloss-nocrc", name, stream_without_crcs(file))
    for kind in "tokens", "shards":
        for name, file in golden(f"streams/*.{kind}"):
            write(f"{to}/{kind}", name, file)
            write(f"{to}/{kind}-nocrc", name, stream_without_crcs(file))
    for name, file in list(golden("model/*.safetensors")) + list(golden("model/invalid/*")):
        write(f"{to}/model", name, file)
        write(f"{to}/model-nocrc", name, model_without_crc(file))
    for i, (kind, _, file) in enumerate(lies()):
        write(f"{to}/{kind}", f"lie-{i}", file)
        write(f"{to}/{kind}-nocrc", f"lie-{i}", model_without_crc(file) if kind == "model" else stream_without_crcs(file))
    for name, file in states():
        write(f"{to}/state", name, file)
        write(f"{to}/state-nocrc", name, model_without_crc(file))
    for name, file in golden("streams/h*.tokens"):
        write(f"{to}/gzip", name, gzip.compress(file, mtime=0))
        write(f"{to}/gzip", "two-" + name, gzip.compress(file[:99], mtime=0) + gzip.compress(file[99:], 0, mtime=0))
        write(f"{to}/gzip", "cut-" + name, gzip.compress(file, mtime=0)[:-9])
        write(f"{to}/gzip", "plain-" + name, file)
    config = b"# a comment\nbatchify:\n  rows: 100\n  val: 0.25\n  gzip: true\n" \
             b"  output: \"a\\tb\"\n  targets: row-wrap\ntrain:\n  hidden: 3\n"
    write(f"{to}/config", "valid", config)
    for i, bad in enumerate([b"rows: 1e3", b"rows: {a: [b, c]}", b"gzip: yes", b"output: !!str x",
                             b"output: &a x\n  targets: *a", b"rows: 1\n  rows: 2", b"outptu: x",
                             b"output: |\n    x\n    y", b"output: 'it''s'", b"val: .5", b"? rows\n  : 7"]):
        write(f"{to}/config", f"other-{i}", b"batchify:\n  " + bad + b"\n")
    texts = [b"plain\r\nASCII\rtext\n", "é\u0416\u20ac\U0001f600 mixed ".encode() * 9,
             b"\xff\xc3\xa9\xc3", b"\xed\xa0\x80\xf4\x90\x80\x80\xe0\x80\x80", b"", b"\xf0\x9f\x98"]
    for i, text in enumerate(texts):
        for way in range(32):
            write(f"{to}/text", f"{i}-{way}", text + bytes([way]))


main(*sys.argv[1:])
