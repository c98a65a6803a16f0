"""The notebooks' old checkpoints into models: torch.save's pickles into .safetensors.

    python3 convert.py rnn_20_epoch.net [rnn_1_epoch.net ...]

writes rnn_20_epoch.model and so on, each with the characters that the checkpoint names.
"""
import os
import sys

import torch

from from_pytorch import save

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in sys.argv[1:]:
    # weights_only: a pickle from elsewhere may hold any program; this reads tensors and plain values.
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    save(checkpoint["state_dict"], checkpoint["tokens"], os.path.splitext(path)[0] + ".model")
