#!/usr/bin/python3
"""Writes the golden model files beside it, from formats/model.md alone: no code of charpipe's is used.

    tests/golden/model/make.py [FOLDER]

Weights are (37 e mod 101 - 50) / 64, e counting all elements of the model's own tensors in the order
of the table in model.md: exact in every type that a file may have."""
import json, os, struct, sys, zlib
import numpy as np


GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def shapes(V, H, L, fc="fc", cell="lstm"):
    table, G = [], GATES[cell]
    for l in range(L):
        table += [(f"{cell}.weight_ih_l{l}", (G * H, V if l == 0 else H)),
                  (f"{cell}.weight_hh_l{l}", (G * H, H)),
                  (f"{cell}.bias_ih_l{l}", (G * H,)), (f"{cell}.bias_hh_l{l}", (G * H,))]
    return table + [(f"{fc}.weight", (V, H)), (f"{fc}.bias", (V,))]


def weights(V, H, L, fc="fc", cell="lstm"):
    tensors, e = {}, 0
    for name, shape in shapes(V, H, L, fc, cell):
        n = int(np.prod(shape))
        tensors[name] = ((np.arange(e, e + n) * 37 % 101 - 50) / 64).astype("<f4").reshape(shape)
        e += n
    return tensors


def bfloat16(x):
    return (x.astype("<f4").view("<u4") >> 16).astype("<u2")


DTYPES = {"<f4": "F32", "<f2": "F16", "<f8": "F64", "<u2": "BF16", "<i4": "I32"}


def header_of(tensors, metadata=None):
    header, at = {}, 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, x in tensors.items():
        header[name] = {"dtype": DTYPES[x.dtype.str], "shape": list(x.shape),
                        "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    return header


def pack(header, tensors, align=64, ascii=False):
    """A file from any header, with the right crc32 if it has one in its place."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=ascii).encode()
    text += b" " * (-(8 + len(text)) % align)
    data = b"".join(x.tobytes() for x in tensors.values())
    whole = bytearray(struct.pack("<Q", len(text)) + text + data)
    if whole[8:34] == b'{"__metadata__":{"crc32":"' and whole[34:42] == b"0" * 8:
        whole[34:42] = b"%08x" % zlib.crc32(whole)
    return bytes(whole)


def charpipe(V, H, L, drop, tokens, unit, newlines, training=None, checkpoint=None, cell="lstm"):
    def dumps(x):
        return json.dumps(x, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    other = cell != "lstm"
    m = {"crc32": "00000000", "format": "pt", **({"charpipe_model": "2"} if other else {}),
         "n_hidden": str(H), "n_layers": str(L), **({"cell": cell} if other else {}), "drop_prob": drop, "tokens": dumps(tokens), "unit": unit, "newlines": newlines}
    if training is not None:
        m["training"] = dumps(training)
    if checkpoint is not None:
        m["checkpoint"] = dumps(checkpoint)
    return m


def sorted_by_name(tensors):
    return dict(sorted(tensors.items()))


def small(cell="lstm"):
    return charpipe(3, 2, 1, "0.5", ["\n", "a", "\U0001f600"], "codepoint", "universal",
                    {"clip": 5.0, "lr": 0.001, "seed": 1, "steps": 10}, cell=cell), weights(3, 2, 1, cell=cell)


def checkpoint():
    metadata = charpipe(256, 1, 2, "0.25", list(range(256)), "byte", "keep", {"steps": 7},
                        {"epoch": 1, "step": 7})
    tensors = weights(256, 1, 2)
    tensors["train.h"] = (np.arange(6, dtype="<f4") / 8).reshape(2, 3, 1)
    tensors["train.c"] = (np.arange(6, dtype="<f4") / 4).reshape(2, 3, 1)
    tensors["train.best.fc.bias"] = np.arange(256, dtype="<f4") / 16
    return metadata, tensors


def valid():
    metadata, tensors = small()
    yield "small.safetensors", pack(header_of(tensors, metadata), tensors)
    # The other cells, as charpipe writes them and as PyTorch does.
    for cell in "gru", "rnn":
        metadata, tensors = small(cell)
        yield f"{cell}.safetensors", pack(header_of(tensors, metadata), tensors)
        tensors = sorted_by_name(weights(3, 2, 2, "fc_linear", cell))
        yield f"{cell}-state_dict.safetensors", pack(header_of(tensors), tensors, 8)
    metadata, tensors = checkpoint()
    yield "checkpoint.safetensors", pack(header_of(tensors, metadata), tensors)
    # What safetensors.torch.save_file(net.state_dict(), ...) writes: no metadata, sorted by name,
    # header padded to a multiple of 8.
    tensors = sorted_by_name(weights(3, 2, 2))
    yield "state_dict.safetensors", pack(header_of(tensors), tensors, 8)
    # ... with metadata from json.dumps, whose default escapes all but ASCII (emoji as surrogates).
    tensors = sorted_by_name(weights(3, 2, 1, "fc_linear"))
    metadata = {"n_layers": "1", "tokens": json.dumps(["\n", "a", "\U0001f600"]), "format": "pt"}
    yield "notebook.safetensors", pack(header_of(tensors, metadata), tensors, 8, ascii=True)
    # Weights of other types.
    tensors = sorted_by_name(weights(3, 2, 1))
    tensors["fc.weight"] = tensors["fc.weight"].astype("<f2")
    tensors["lstm.weight_ih_l0"] = tensors["lstm.weight_ih_l0"].astype("<f8")
    tensors["lstm.weight_hh_l0"] = bfloat16(tensors["lstm.weight_hh_l0"])
    yield "types.safetensors", pack(header_of(tensors), tensors, 8)
    # The least and the largest numbers that 16 bits hold: 2^-24, -2^-14, 65504.
    tensors["fc.bias"] = np.array([1, 0x8400, 0x7bff], "<u2").view("<f2")
    yield "halves.safetensors", pack(header_of(tensors), tensors, 8)


def invalid():
    metadata, tensors = small()
    good = pack(header_of(tensors, metadata), tensors)

    def changed(name, **keys):
        m = {k: v for k, v in {**metadata, **keys}.items() if v is not None}
        return name, pack(header_of(tensors, m), tensors)

    yield "truncated", good[:-4]
    yield "trailing-byte", good + b"\0"
    yield "damaged-weight", good[:-3] + bytes([good[-3] ^ 1]) + good[-2:]
    yield "wrong-crc", good[:34] + b"00000000" + good[42:]
    yield "upper-case-crc", good[:34] + good[34:42].upper() + good[42:]
    yield changed("no-crc", crc32=None)
    yield "crc-elsewhere", pack(header_of(tensors, {k: metadata[k] for k in reversed(metadata)}), tensors)
    yield changed("hidden-contradicts", n_hidden="3")
    yield changed("layers-contradict", n_layers="2")
    yield changed("dropout-one", drop_prob="1")
    yield changed("too-few-tokens", tokens='["a","b"]')
    yield changed("duplicate-token", tokens='["a","b","a"]')
    yield changed("long-token", tokens='["a","b","cc"]')
    yield changed("lone-surrogate", tokens='["a","b","\\ud83d"]')
    yield changed("mixed-tokens", tokens='["a","b",3]')
    yield changed("unit-contradicts", unit="byte")
    yield changed("unknown-unit", unit="word")
    yield changed("unknown-newlines", newlines="crlf")
    yield changed("unit-without-tokens", tokens=None)
    yield changed("training-list", training="[]")
    yield changed("duplicate-key", training='{"lr":1,"lr":2}')
    yield changed("metadata-number", n_hidden=2)

    def entry(name, tensor, **keys):
        header = header_of(tensors, metadata)
        header[tensor] = {**header[tensor], **keys}
        return name, pack(header, tensors)

    # A GRU, called an LSTM; a checkpoint's run of another cell.
    gru = {k.replace("gru", "lstm"): v for k, v in weights(3, 4, 1, cell="gru").items()}
    yield "gates-of-another", pack(header_of(gru), gru)
    yield changed("cell-contradicts", cell="gru")
    yield changed("options-contradict", checkpoint='{"options":{"cell":"rnn","hidden":"2","layers":"1"}}')
    yield entry("shape-contradicts", "lstm.weight_hh_l0", shape=[4, 4])
    yield entry("flat-matrix", "lstm.weight_hh_l0", shape=[16])
    yield entry("extent-contradicts", "fc.bias", shape=[4])
    yield entry("impossible-shape", "fc.bias", shape=[1 << 62, 1 << 62])
    yield entry("negative-shape", "fc.bias", shape=[-3])
    yield entry("unknown-dtype", "fc.bias", dtype="F31")
    yield entry("integer-weights", "fc.bias", dtype="I32")
    yield entry("overlap", "fc.bias", data_offsets=[244, 256])
    yield entry("hole", "fc.bias", data_offsets=[252, 264])
    yield entry("foreign-key", "fc.bias", comment="")

    def without(name, *gone, **more):
        left = {k: v for k, v in tensors.items() if k not in gone}
        left.update(more)
        return name, pack(header_of(left, metadata), left)

    one = np.zeros(1, "<f4")
    yield without("missing-tensor", "lstm.bias_hh_l0")
    yield without("no-lstm", *(k for k in tensors if k.startswith("lstm")))
    yield without("unknown-tensor", **{"lstm.weight_hr_l0": one})
    yield without("train-without-checkpoint", **{"train.h": one})
    yield without("nan", "fc.bias", **{"fc.bias": np.array([0, np.nan, 0], "<f4")})
    yield without("infinity", "fc.bias", **{"fc.bias": np.array([0, 0, -np.inf], "<f4")})

    yield without("infinite-half", "fc.bias", **{"fc.bias": np.array([0, np.inf, 0], "<f2")})
    yield without("huge-double", "fc.bias", **{"fc.bias": np.array([0, 1e300, 0], "<f8")})

    def raw(text, data=b""):
        return struct.pack("<Q", len(text)) + text + data

    yield "empty", b""
    yield "short", good[:5]
    yield "no-tensors", raw(b"{}")
    yield "broken-json", raw(b'{"fc.bias":')
    yield "duplicate-tensor", raw(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                                  b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\0")
    yield "deep-json", raw(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}")
    yield "huge-header", struct.pack("<Q", 100000001) + b"{" * 100
    yield "long-header", struct.pack("<Q", 4096) + b"{" * 100
    yield "huge-data", raw(b'{"a":{"dtype":"U8","shape":[4611686018427387904],'
                           b'"data_offsets":[0,4611686018427387904]}}')
    yield "text", b"Happy families are all alike; every unhappy family is unhappy in its own way.\n"
    yield "torch-zip", b"PK\3\4" + bytes(60)
    yield "pickle", b"\x80\x02}q\0." + bytes(60)


def main(folder):
    os.makedirs(os.path.join(folder, "invalid"), exist_ok=True)
    for name, content in valid():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)
    for name, content in invalid():
        with open(os.path.join(folder, "invalid", name), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
