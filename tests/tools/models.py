"""An independent view of model files, for the tests: reads and writes them as the safetensors format
has it, and computes their losses straight from the LSTM's equations, in double precision.

    models.py random SEED H L SCALE SYMBOLS > model     weights U(-SCALE, SCALE), no CRC, no unit
    models.py bare MODEL > model                        the tensors alone, as a PyTorch user saves them
    models.py permute MODEL > model                     the same model, its symbols in reverse order
    models.py loss MODEL < text                         mean nats of every character but the first
    models.py lines MODEL < text                        each line's bits per character, and characters
    models.py chars MODEL < text                        each character's bits but the first's
    models.py logprob MODEL PRIME < texts               each line's log-probability after PRIME
    models.py state STATE MODEL PRIME state.md          checks a state, read as that page reads it
    models.py greedy MODEL PRIME N                      the N likeliest characters after PRIME
    models.py fill FILE TENSOR X > forged          the file with every element of a tensor X, its CRC right
    models.py grown OLD NEW FRESH                       NEW is OLD, with FRESH's numbers for symbols behind
    models.py training MODEL                            what the file says about its training
    models.py dropout MODEL                             and about its dropout
"""
import json
import struct
import sys
import zlib

import numpy as np


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    (n,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + n])
    meta = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        raw = data[8 + n + begin : 8 + n + end]
        tensors[name] = np.frombuffer(raw, "<f4").reshape(t["shape"])
    return meta, tensors


def write(meta, tensors):
    header, at, data = {}, 0, b""
    if meta:
        header["__metadata__"] = meta
    for name, value in tensors.items():
        raw = np.ascontiguousarray(value, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data += raw
    text = json.dumps(header).encode()
    sys.stdout.buffer.write(struct.pack("<Q", len(text)) + text + data)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Model:
    def __init__(self, path):
        self.meta, tensors = read(path)
        self.w = {k: v.astype(np.float64) for k, v in tensors.items()}
        self.symbols = json.loads(self.meta["tokens"])
        self.ids = {c: i for i, c in enumerate(self.symbols)}
        self.layers = int(self.meta["n_layers"])
        self.cell = next(name.split(".")[0] for name in self.w if name.endswith("weight_ih_l0"))
        self.reset()

    def reset(self):
        H = int(self.meta["n_hidden"])
        self.h = np.zeros((self.layers, H))
        self.c = np.zeros((self.layers, H))

    def feed(self, i):
        """The log-probabilities of what follows id i."""
        w = self.w
        for l in range(self.layers):
            w_ih, w_hh, b_ih, b_hh = (w[f"{self.cell}.{kind}_l{l}"] for kind in
                                      ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            a = b_ih + (w_ih[:, i] if l == 0 else w_ih @ self.h[l - 1])
            b = b_hh + w_hh @ self.h[l]
            if self.cell == "lstm":
                i_, f, g, o = np.split(a + b, 4)
                self.c[l] = sigmoid(f) * self.c[l] + sigmoid(i_) * np.tanh(g)
                self.h[l] = sigmoid(o) * np.tanh(self.c[l])
            elif self.cell == "gru":
                (a_r, a_z, a_n), (b_r, b_z, b_n) = np.split(a, 3), np.split(b, 3)
                n, z = np.tanh(a_n + sigmoid(a_r + b_r) * b_n), sigmoid(a_z + b_z)
                self.h[l] = (1 - z) * n + z * self.h[l]
            else:
                self.h[l] = np.tanh(a + b)
        scores = w["fc.weight"] @ self.h[-1] + w["fc.bias"]
        top = scores.max()
        return scores - top - np.log(np.exp(scores - top).sum())

    def nats(self, text):
        """Of every character of text but the first, from state zero."""
        self.reset()
        ids = [self.ids[c] for c in text]
        return [-self.feed(a)[b] for a, b in zip(ids, ids[1:])]


def main(command, *args):
    if command == "random":
        seed, H, L, scale, symbols = int(args[0]), int(args[1]), int(args[2]), float(args[3]), args[4]
        random, V, t = np.random.default_rng(seed), len(symbols), {}

        def tensor(name, *shape):
            t[name] = random.uniform(-scale, scale, shape)

        for l in range(L):
            tensor(f"lstm.weight_ih_l{l}", 4 * H, H if l else V)
            tensor(f"lstm.weight_hh_l{l}", 4 * H, H)
            tensor(f"lstm.bias_ih_l{l}", 4 * H)
            tensor(f"lstm.bias_hh_l{l}", 4 * H)
        tensor("fc.weight", V, H)
        tensor("fc.bias", V)
        write({"n_hidden": str(H), "n_layers": str(L), "tokens": json.dumps(list(symbols))}, t)
    elif command == "bare":
        write({}, read(args[0])[1])
    elif command == "permute":
        meta, t = read(args[0])
        t = dict(t)
        t["lstm.weight_ih_l0"] = t["lstm.weight_ih_l0"][:, ::-1]
        t["fc.weight"], t["fc.bias"] = t["fc.weight"][::-1], t["fc.bias"][::-1]
        keep = {k: meta[k] for k in ("n_hidden", "n_layers")}
        write({**keep, "tokens": json.dumps(json.loads(meta["tokens"])[::-1])}, t)
    elif command == "fill":
        data = bytearray(open(args[0], "rb").read())
        (n,) = struct.unpack_from("<Q", data)
        begin, end = json.loads(data[8 : 8 + n])[args[1]]["data_offsets"]
        data[8 + n + begin : 8 + n + end] = np.full((end - begin) // 4, float(args[2]), "<f4").tobytes()
        data[34:42] = b"0" * 8
        data[34:42] = b"%08x" % zlib.crc32(data)
        sys.stdout.buffer.write(data)
    elif command == "loss":
        print("%.6f" % np.mean(Model(args[0]).nats(sys.stdin.read())))
    elif command == "lines":
        model = Model(args[0])
        for line in sys.stdin.read().split("\n")[:-1]:
            nats = model.nats("\n" + line + "\n")
            print("%.6f\t%d" % (np.mean(nats) / np.log(2), len(nats)))
    elif command == "chars":
        for nats in Model(args[0]).nats(sys.stdin.read()):
            print("%.6f" % (nats / np.log(2)))
    elif command == "logprob":
        model, prime = Model(args[0]), args[1]
        for line in sys.stdin:
            text = prime + line.rstrip("\n").replace("\\n", "\n")
            print("%.6f" % -sum(model.nats(text)[len(prime) - 1 :]))
    elif command == "state":
        model, prime = Model(args[1]), args[2]
        with open(args[0], "rb") as f:
            data = f.read()
        recipe = open(args[3]).read().split("```python\n")[1].split("```")[0]
        names = {}
        exec(recipe.replace("context.state", args[0]), names)
        for c in prime:
            scores = model.feed(model.ids[c])
        state, layers = names["state"], model.layers
        logits = state["logits"] - np.log(np.exp(state["logits"]).sum())
        assert state["h"].shape == state["c"].shape == (layers, 1, model.h.shape[1])
        for got, expected in (state["h"][:, 0], model.h), (state["c"][:, 0], model.c), (logits, scores):
            assert np.allclose(got, expected, rtol=1e-4, atol=1e-4)
    elif command == "greedy":
        model, text = Model(args[0]), args[1]
        for c in text[:-1]:
            model.feed(model.ids[c])
        for _ in range(int(args[2])):
            text += model.symbols[int(np.argmax(model.feed(model.ids[text[-1]])))]
        sys.stdout.write(text)
    elif command == "grown":
        (old_meta, old), (meta, new), (_, fresh) = (read(path) for path in args)
        V, symbols = len(json.loads(old_meta["tokens"])), json.loads(meta["tokens"])
        assert symbols[:V] == json.loads(old_meta["tokens"])
        per_symbol = {"lstm.weight_ih_l0": 1, "fc.weight": 0, "fc.bias": 0}  # the axis
        for name in new:
            before, after = np.split(new[name], [V], per_symbol[name]) if name in per_symbol else (new[name], None)
            assert np.array_equal(before, old[name]), name
            if after is not None:
                assert np.array_equal(after, np.split(fresh[name], [V], per_symbol[name])[1]), name
        print("".join(symbols[V:]))
    elif command == "training":
        print(json.dumps(json.loads(read(args[0])[0]["training"]), sort_keys=True))
    elif command == "dropout":
        print(read(args[0])[0]["drop_prob"])


main(*sys.argv[1:])
