"""A notebook's state_dict into a model that charpipe reads.

    python3 from_pytorch.py model.pth text.txt my.model

takes a file that torch.save(net.state_dict(), ...) wrote, and the text, if the notebook sorted its
characters. If it didn't, their order is in the notebook alone, so write the model there:
from_pytorch.save(net.state_dict(), chars, "my.model")
"""
import json
import sys

import torch
from safetensors.torch import save_file


def save(state_dict, tokens, path):
    tensors = {name: t.detach().cpu().contiguous() for name, t in state_dict.items()}
    weights = [t for name, t in tensors.items() if ".weight_hh_l" in name]
    metadata = {
        "format": "pt",
        "n_hidden": str(weights[0].shape[1]),
        "n_layers": str(len(weights)),
        "tokens": json.dumps(list(tokens)),
    }
    save_file(tensors, path, metadata)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    weights, text, path = sys.argv[1:]
    state_dict = torch.load(weights, map_location="cpu", weights_only=True)
    with open(text) as f:  # line ends become "\n", as in the notebooks
        save(state_dict, sorted(set(f.read())), path)
