#!/usr/bin/env python3
"""Measures charpipe and PyTorch in turn at the notebooks' own work: training steps of 2 x 512 units
on 128 x 100 characters, and sampling with top-k 5. Prints rows of run.py's table.

    python3 torch_step.py BENCH     (the program made of bench.c; needs torch and numpy)

PyTorch gets the number of threads with which it is fastest. Its loops do what the notebooks' do:
the one-hot input is made by numpy for each batch and each character, training clips and steps Adam,
sampling takes its k best to numpy to draw.
"""
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from torch import nn

VOCAB, HIDDEN, LAYERS, ROWS, WINDOW, TOP_K = 83, 512, 2, 128, 100, 5
QUICK = bool(os.environ.get("BENCH_QUICK"))
ROUNDS, TRIALS = (1, 1) if QUICK else (7, 3)
SAMPLED = 100  # characters of one of bench.c's measurements
PAUSE = 0.2  # seconds: OpenMP's threads spin for a while after their work


class CharRNN(nn.Module):

    def __init__(self, cell=nn.LSTM):
        super().__init__()
        self.cell = cell(VOCAB, HIDDEN, LAYERS, dropout=0.5, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(HIDDEN, VOCAB)

    def forward(self, x, state):
        lstm = isinstance(self.cell, nn.LSTM)
        x, state = self.cell(x, state if lstm else state[0])
        output = self.fc(self.dropout(x).contiguous().view(-1, HIDDEN))
        return output, state if lstm else (state,)


def one_hot(ids):
    x = np.zeros((ids.size, VOCAB), np.float32)
    x[np.arange(ids.size), ids.ravel()] = 1
    return torch.from_numpy(x.reshape(*ids.shape, VOCAB))


def zero_state(rows):
    return tuple(torch.zeros(LAYERS, rows, HIDDEN) for _ in "hc")


def training(net, narrow=False):
    """One training step at each call of next(); `narrow`: with automatic bfloat16."""
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()
    text = np.random.randint(VOCAB, size=(ROWS, WINDOW + 1))
    state = zero_state(ROWS)
    while True:
        x, y = one_hot(text[:, :-1]), torch.from_numpy(text[:, 1:].copy())
        state = tuple(s.data for s in state)
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            output, state = net(x, state)
            loss = criterion(output, y.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimizer.step()
        yield loss.item()


def training_narrow(net):
    return training(net, True)


def sampling(net):
    """One drawn character at each call of next()."""
    net.eval()
    character, state = 0, zero_state(1)
    while True:
        x = one_hot(np.array([[character]]))
        state = tuple(s.data for s in state)
        output, state = net(x, state)
        p, best = nn.functional.softmax(output, dim=1).data.topk(TOP_K)
        p, best = p.numpy().squeeze(), best.numpy().squeeze()
        character = np.random.choice(best, p=p / p.sum())
        yield character


def timed(work):
    begin = time.perf_counter()
    next(work)
    return time.perf_counter() - begin


def best_threads(work):
    """The number of threads with which PyTorch is fastest."""
    medians = {}
    for threads in range(1, len(os.sched_getaffinity(0)) + 1):
        torch.set_num_threads(threads)
        next(work)
        medians[threads] = statistics.median(timed(work) for _ in range(TRIALS))
    return min(medians, key=medians.get)


class Charpipe:
    """Work done by bench.c in a process of its own."""

    def __init__(self, program):
        self.process = subprocess.Popen([program, "--serve"],
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        text=True)

    def seconds(self, work):
        print(work, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def compare(charpipe, name, work, count):
    """Median seconds of charpipe's work and of `count` pieces of PyTorch's, measured in turn."""
    mine, other = [], []
    charpipe.seconds(name)
    for _ in range(ROUNDS):
        mine.append(charpipe.seconds(name))
        time.sleep(PAUSE)
        other.append(sum(timed(work) for _ in range(count)))
        time.sleep(PAUSE)
    return statistics.median(mine), statistics.median(other)


def row(what, amount, seconds, rival, threads):
    mine, other = (amount / s for s in seconds)
    print(what, f"{mine:.5g}", "characters/s",
          f"PyTorch {torch.__version__}{rival}, {threads} threads", f"{other:.5g}",
          f"{mine / other:.3f}", sep="\t", flush=True)


def main():
    torch.manual_seed(1)
    np.random.seed(1)
    charpipe = Charpipe(sys.argv[1])
    step, batch = "training step, 2x512, 128x100", ROWS * WINDOW
    for what, name, cell, rival, work, amount, count in (
        (step, "train", nn.LSTM, "", training, batch, 1),
        (step + ", GRU", "train gru", nn.GRU, "", training, batch, 1),
        (step + ", RNN", "train rnn", nn.RNN, "", training, batch, 1),
        (step + ", bf16", "train bf16", nn.LSTM, "", training, batch, 1),
        (step + ", bf16", "train bf16", nn.LSTM, " bf16 autocast", training_narrow, batch, 1),
        ("sampling one text, 2x512", "sample", nn.LSTM, "", sampling, SAMPLED, SAMPLED),
    ):
        loop = work(CharRNN(cell))
        threads = best_threads(loop)
        torch.set_num_threads(threads)
        row(what, amount, compare(charpipe, name, loop, count), rival, threads)


if __name__ == "__main__":
    main()
