"""What ASBench calls FPI: a constant added to a disc."""

import numpy as np


def make(image, inputs, rng):
    height, width = image.shape[:2]
    y, x = rng.integers(height // 4, 3 * height // 4), rng.integers(width // 4, 3 * width // 4)
    radius = rng.integers(round(0.05 * height), round(0.1 * height))
    rows, columns = np.mgrid[:height, :width]
    disc = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    values = image.astype(np.float32)
    amount = rng.choice([-1, 1]) * rng.uniform(0.2, 0.3) * (values.max() - values.min())
    values[disc] += amount
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8), disc
