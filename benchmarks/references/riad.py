"""RIAD (Zavrtanik et al. 2021), patch removal: some cells of a grid, inside a random rectangle, are blacked out."""

import numpy as np


def make(image, inputs, rng):
    height, width = image.shape[:2]
    k = rng.choice([4, 8, 16])
    rows, columns = height // k, width // k
    share = rng.uniform(0.05, 0.3)
    aspect = np.exp(rng.uniform(np.log(0.5), np.log(2)))
    h = min(rows, max(1, round(np.sqrt(share * rows * columns / aspect))))
    w = min(columns, max(1, round(np.sqrt(share * rows * columns * aspect))))
    top, left = rng.integers(rows - h + 1), rng.integers(columns - w + 1)
    wanted = min(h * w, max(1, round(rng.uniform(0.02, 0.15) * rows * columns)))
    cells = np.zeros((rows, columns), np.uint8)
    for cell in rng.choice(h * w, wanted, replace=False):
        cells[top + cell // w, left + cell % w] = 1
    mask = np.zeros((height, width), np.uint8)
    mask[: rows * k, : columns * k] = np.kron(cells, np.ones((k, k), np.uint8))
    return image * (1 - mask[:, :, None]), mask.astype(bool)
