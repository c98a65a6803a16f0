"""A charpipe model into the notebooks' CharRNN.

    python3 to_pytorch.py anna.model [rnn_charpipe.net]

prints the network; with a second name it writes a checkpoint that the notebooks load. In a notebook:
net = to_pytorch.load("anna.model")
"""
import json
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from charrnn import CharRNN


def load(path):
    with safe_open(path, "pt") as f:
        meta = f.metadata()
    net = CharRNN(json.loads(meta["tokens"]), int(meta["n_hidden"]), int(meta["n_layers"]),
                  float(meta["drop_prob"]), meta.get("cell", "lstm"))
    tensors = {k: v for k, v in load_file(path).items() if not k.startswith("train.")}
    net.load_state_dict(tensors)  # strict: every name and shape fits (a checkpoint has train.* too)
    return net.eval()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    net = load(sys.argv[1])
    print(net)
    if len(sys.argv) > 2:
        torch.save({"n_hidden": net.n_hidden, "n_layers": net.n_layers,
                    "state_dict": net.state_dict(), "tokens": tuple(net.chars)}, sys.argv[2])
