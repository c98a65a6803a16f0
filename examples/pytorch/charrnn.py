"""The notebooks' network, as short as it can be said."""
from torch import nn


class CharRNN(nn.Module):

    def __init__(self, tokens, n_hidden=256, n_layers=2, drop_prob=0.5, cell="lstm"):
        super().__init__()
        self.chars, self.n_hidden, self.n_layers = tokens, n_hidden, n_layers
        dropout = drop_prob if n_layers > 1 else 0  # between layers; PyTorch warns of it after one
        self.cell, kind = cell, {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell]
        setattr(self, cell, kind(len(tokens), n_hidden, n_layers, dropout=dropout, batch_first=True))
        self.dropout = nn.Dropout(drop_prob)
        self.fc = nn.Linear(n_hidden, len(tokens))

    def forward(self, x, hidden=None):
        """One-hot characters (N,T,V) to scores (N*T,V)."""
        out, hidden = getattr(self, self.cell)(x, hidden)
        return self.fc(self.dropout(out).reshape(-1, self.n_hidden)), hidden
