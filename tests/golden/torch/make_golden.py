#!/usr/bin/env python3
"""Makes the golden numbers of this folder with PyTorch: NAME.txt and NAME.f32 for each model below.

    python3 make_golden.py [FOLDER]            (needs torch and numpy; the tests need neither)

It trains small character-level networks as the notebooks do it: one-hot input, nn.LSTM, nn.GRU or
nn.RNN, a linear output layer, cross-entropy, the state carried from batch to batch without its history, the norm
clipped, Adam; one of them with AdamW, whose rate rises and then falls along a cosine. Dropout is 0, since no two libraries draw the same masks. Weights are drawn here
with numpy, so that nothing depends on PyTorch's generator.

NAME.f32 is little-endian float32 numbers (ids and dimensions too); NAME.txt names its parts in
their order, one a line: the name, a tab, how many numbers. Lines that begin with # are remarks.
"""
import sys

import numpy as np
import torch
from torch import nn

# name, cell, V, H, L, N, T, steps, learning rate, clip: once with a clip that acts in every step, once
# with the notebooks' own learning rate and clip, which never acts on so small a model
MODELS = [
    ("h13", "lstm", 11, 13, 2, 3, 7, 10, 0.01, 0.05),
    ("h16", "lstm", 11, 16, 2, 3, 7, 10, 0.001, 5.0),
    ("gru13", "gru", 11, 13, 2, 3, 7, 30, 0.01, 0.05),
    ("gru16", "gru", 11, 16, 2, 3, 7, 30, 0.001, 5.0),
    ("rnn13", "rnn", 11, 13, 2, 3, 7, 30, 0.01, 0.05),
    ("rnn16", "rnn", 11, 16, 2, 3, 7, 30, 0.001, 5.0),
    ("adamw13", "lstm", 11, 13, 2, 3, 7, 50, 0.02, 0.5, (0.8, 0.99, 0.3, 6, 0.002)),
]
CELLS = {"lstm": (nn.LSTM, "hc"), "gru": (nn.GRU, "h"), "rnn": (nn.RNN, "h")}


class CharRNN(nn.Module):

    def __init__(self, cell, vocab, hidden, layers):
        super().__init__()
        self.vocab, self.cell = vocab, cell
        setattr(self, cell, CELLS[cell][0](vocab, hidden, layers, dropout=0, batch_first=True))
        self.fc = nn.Linear(hidden, vocab)

    def forward(self, ids, state):
        x = nn.functional.one_hot(ids, self.vocab).float()
        x, state = getattr(self, self.cell)(x, state if self.cell == "lstm" else state[0])
        return self.fc(x), state if self.cell == "lstm" else (state,)


def adamw(net, lr, steps, beta1, beta2, decay, warmup, least):
    """AdamW, the decay for matrices alone, and its schedule."""
    groups = [{"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": decay},
              {"params": [p for p in net.parameters() if p.dim() == 1], "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2))
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warmup, 1, warmup - 1)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - warmup, least)
    return optimizer, torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], [warmup])


def golden(cell, vocab, hidden, layers, rows, window, steps, lr, clip, more=None):
    """The numbers of one model, name by name."""
    random = np.random.RandomState(1000 + hidden)
    net = CharRNN(cell, vocab, hidden, layers)
    bound = 1 / np.sqrt(hidden)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.from_numpy(random.uniform(-bound, bound, tuple(p.shape)).astype("f4")))

    yield "shape", [vocab, hidden, layers, rows, window, steps]
    yield "lr", lr
    yield "clip", clip
    if more:
        yield "adamw", more  # betas, decay, steps of the warm-up, rate that the cosine falls towards
    for name, p in net.named_parameters():
        yield "initial." + name, p
    # a text with some structure to learn: mostly the next symbol, sometimes any
    text = np.zeros((rows, steps * window + 1), int)
    for row in text:
        for i in range(1, len(row)):
            row[i] = (row[i - 1] + 1) % vocab if random.rand() < 0.7 else random.randint(vocab)
    batches = [text[:, k * window:(k + 1) * window + 1] for k in range(steps)]
    yield "batches", np.stack(batches)  # (steps, rows, window + 1)

    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    schedule = None
    if more:
        optimizer, schedule = adamw(net, lr, steps, *more)
    criterion = nn.CrossEntropyLoss()
    state = tuple(torch.zeros(layers, rows, hidden) for _ in CELLS[cell][1])
    losses, norms = [], []
    for step, batch in enumerate(batches):
        ids = torch.from_numpy(batch)
        optimizer.zero_grad()
        logits, state = net(ids[:, :-1], tuple(s.detach() for s in state))
        loss = criterion(logits.reshape(rows * window, vocab), ids[:, 1:].reshape(-1))
        loss.backward()
        if step == 0:
            yield "logits", logits  # (rows, window, vocab)
            for name, p in net.named_parameters():
                yield "gradient." + name, p.grad.clone()
        norms.append(float(nn.utils.clip_grad_norm_(net.parameters(), clip)))
        if step == 0:
            yield "clipped.norm", np.sqrt(
                sum(float((p.grad.double()**2).sum()) for p in net.parameters()))
        losses.append(loss.item())
        optimizer.step()
        if schedule:
            schedule.step()
    yield "losses", losses
    yield "norms", norms  # before clipping
    for name, s in zip(CELLS[cell][1], state):
        yield "final." + name, s
    for name, p in net.named_parameters():
        yield "final." + name, p


def main():
    torch.set_num_threads(1)
    folder = sys.argv[1] if len(sys.argv) > 1 else sys.path[0]
    for name, *shape in MODELS:
        with open(f"{folder}/{name}.txt", "w") as index, open(f"{folder}/{name}.f32", "wb") as data:
            index.write(f"# made by make_golden.py with PyTorch {torch.__version__}, "
                        f"numpy {np.__version__}\n")
            for part, numbers in golden(*shape):
                if isinstance(numbers, torch.Tensor):
                    numbers = numbers.detach().numpy()
                numbers = np.asarray(numbers, "<f4")
                index.write(f"{part}\t{numbers.size}\n")
                data.write(numbers.tobytes())


main()
