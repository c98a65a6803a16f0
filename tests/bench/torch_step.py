#!/usr/bin/env python3
"""Times PyTorch at the notebooks' own work, to compare with: one training step of 2 x 512 units on
128 x 100 characters, and one character of sampling (top-k 5), for each number of threads.

    python3 torch_step.py [SECONDS]            (needs torch and numpy; SECONDS to measure each, 20)

Both loops do what the notebooks' do: the one-hot input is made by numpy for each batch and each
character, training clips and steps Adam, sampling takes its k best to numpy to draw. Prints TSV:
the best and the median time of a repetition, in milliseconds.
"""
import os
import statistics
import sys
import time

import numpy as np
import torch
from torch import nn

VOCAB, HIDDEN, LAYERS, ROWS, WINDOW, TOP_K = 83, 512, 2, 128, 100, 5


class CharRNN(nn.Module):

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(VOCAB, HIDDEN, LAYERS, dropout=0.5, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(HIDDEN, VOCAB)

    def forward(self, x, state):
        x, state = self.lstm(x, state)
        return self.fc(self.dropout(x).contiguous().view(-1, HIDDEN)), state


def one_hot(ids):
    x = np.zeros((ids.size, VOCAB), np.float32)
    x[np.arange(ids.size), ids.ravel()] = 1
    return torch.from_numpy(x.reshape(*ids.shape, VOCAB))


def zero_state(rows):
    return tuple(torch.zeros(LAYERS, rows, HIDDEN) for _ in "hc")


def training(net):
    """One training step at each call of next()."""
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()
    text = np.random.randint(VOCAB, size=(ROWS, WINDOW + 1))
    state = zero_state(ROWS)
    while True:
        x, y = one_hot(text[:, :-1]), torch.from_numpy(text[:, 1:].copy())
        state = tuple(s.data for s in state)
        net.zero_grad()
        output, state = net(x, state)
        loss = criterion(output, y.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimizer.step()
        yield loss.item()


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


def measure(work, seconds):
    times, end = [], time.perf_counter() + seconds
    next(work)
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        next(work)
        times.append(1000 * (time.perf_counter() - begin))
    return times


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    torch.manual_seed(1)
    np.random.seed(1)
    print("work\tthreads\trepetitions\tbest_ms\tmedian_ms\ttorch")
    for threads in range(1, len(os.sched_getaffinity(0)) + 1):
        torch.set_num_threads(threads)
        for name, work in ("training step", training), ("sampled character", sampling):
            times = measure(work(CharRNN()), seconds)
            print(
                f"{name}\t{threads}\t{len(times)}\t{min(times):.3f}\t{statistics.median(times):.3f}"
                f"\t{torch.__version__}",
                flush=True)


main()
