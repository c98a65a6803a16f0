"""get_batches as the notebooks define it, and their split of a text: what batchify is held to."""

import numpy as np


def get_batches(arr, n_rows, n_steps, targets="row-wrap"):
    """Yields the windows x and targets y, (n_rows, n_steps) each, of a text's ids."""
    n_batches = max(len(arr) - (targets == "next"), 0) // (n_rows * n_steps)
    kept = n_batches * n_rows * n_steps
    text, arr = arr, arr[:kept].reshape((n_rows, -1))
    for n in range(0, arr.shape[1], n_steps):
        x = arr[:, n : n + n_steps]
        y = np.zeros_like(x)
        y[:, :-1] = x[:, 1:]
        try:
            y[:, -1] = arr[:, n + n_steps]
        except IndexError:  # the end of the rows: the notebooks go back to their beginnings
            y[:, -1] = arr[:, 0] if targets == "row-wrap" else text[arr.shape[1] : kept + 1 : arr.shape[1]]
        yield x, y


def split(arr, val, test):
    """The parts for training, validation and testing."""
    n = len(arr)
    train_end, validation_end = int(n * (1 - val - test)), int(n * (1 - test))
    return arr[:train_end], arr[train_end:validation_end], arr[validation_end:]
