"""The notebooks' network in PyTorch, whose LSTM is cuDNN's, on the same GPU: the rivals of bench.c.

Prints the same table, TSV, for the same step (2 x 512, 128 x 100, dropout, clip, Adam) and for
sampling one text as the notebooks do. Where there is no PyTorch that sees a GPU it says so.
"""
import statistics
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("bench: SKIPPED: no PyTorch here to compare with")
if not torch.cuda.is_available():
    sys.exit("bench: SKIPPED: this PyTorch sees no GPU")

V, H, L, N, T = 83, 512, 2, 128, 100
WARM, STEPS, DRAWN = 5, 50, 500


class CharRNN(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(V, H, L, dropout=0.5, batch_first=True)
        self.dropout = torch.nn.Dropout(0.5)
        self.fc = torch.nn.Linear(H, V)

    def forward(self, x, state):
        x, state = self.lstm(x, state)
        return self.fc(self.dropout(x).reshape(-1, H)), state


def training(precision):
    net = CharRNN().cuda().train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    ids = torch.randint(0, V, (N, T + 1), device="cuda")
    state = None
    times = []
    for _ in range(WARM + STEPS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        x = torch.nn.functional.one_hot(ids[:, :-1], V).float()
        state = None if state is None else tuple(s.detach() for s in state)
        optimizer.zero_grad()
        logits, state = net(x, state)
        loss = torch.nn.functional.cross_entropy(logits, ids[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimizer.step()
        loss.item()
        times.append(time.perf_counter() - start)
    taken = statistics.median(times[WARM:])
    print(f"PyTorch's training step\t{precision}\t{1e3 * taken:.4g}\tms")
    print(f"its characters\t{precision}\t{N * T / taken:.4g}\t1/s")


@torch.no_grad()
def sampling(precision):
    net = CharRNN().cuda().eval()
    state, c = None, 0
    for k in range(WARM + DRAWN):
        if k == WARM:
            start = time.perf_counter()
        x = torch.nn.functional.one_hot(torch.tensor([[c]]), V).float().cuda()
        logits, state = net(x, state)
        p, top = torch.softmax(logits, 1).cpu().topk(5)
        c = int(top[0, torch.multinomial(p[0], 1)])
    print(f"PyTorch's sampling of 1 text\t{precision}\t"
          f"{DRAWN / (time.perf_counter() - start):.4g}\tcharacters/s")


print(f"# PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, "
      f"{torch.cuda.get_device_name()}")
for precision in "fp32", "TF32":
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "TF32"
    training(precision)
    sampling(precision)
