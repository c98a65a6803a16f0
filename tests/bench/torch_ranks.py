#!/usr/bin/env python3
"""The training steps of torch_step.py, spread over two processes of one thread each by PyTorch's own
DistributedDataParallel, on gloo. Prints the seconds of each step after the first ones.

    python3 torch_ranks.py STEPS FIRST WINDOW
"""
import os
import socket
import sys
import time

import torch
import torch.distributed
import torch.multiprocessing
from torch import nn
from torch_step import CharRNN, LAYERS, HIDDEN, ROWS, VOCAB, one_hot
import numpy as np

STEPS, FIRST, WINDOW = map(int, sys.argv[1:])
RANKS = 2


def rank(number, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.manual_seed(1)
    np.random.seed(number)
    torch.distributed.init_process_group("gloo", rank=number, world_size=RANKS)
    net = nn.parallel.DistributedDataParallel(CharRNN())
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()
    rows = ROWS // RANKS
    text = np.random.randint(VOCAB, size=(rows, WINDOW + 1))
    state = tuple(torch.zeros(LAYERS, rows, HIDDEN) for _ in "hc")
    for step in range(STEPS):
        torch.distributed.barrier()
        begin = time.perf_counter()
        x, y = one_hot(text[:, :-1]), torch.from_numpy(text[:, 1:].copy())
        state = tuple(s.data for s in state)
        net.zero_grad()
        output, state = net(x, state)
        loss = criterion(output, y.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimizer.step()
        loss.item()
        if number == 0 and step >= FIRST:
            print(time.perf_counter() - begin, flush=True)
    torch.distributed.destroy_process_group()


def main():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(rank, (port,), RANKS)


if __name__ == "__main__":
    main()
