"""Foreign patch interpolation (Tan et al. 2020): a square of another normal, mixed in at the same place."""

import numpy as np


def square(image, rng):
    """A square patch about a centre in the middle 80 % of each axis, cut off at the borders."""
    height, width = image.shape[:2]
    side = min(height, width)
    half = rng.integers(round(0.05 * side), round(0.2 * side))
    y, x = rng.integers(round(0.1 * height), round(0.9 * height)), rng.integers(round(0.1 * width), round(0.9 * width))
    return slice(max(0, y - half), min(height, y + half)), slice(max(0, x - half), min(width, x + half))


def other(image, inputs, rng):
    """Another normal than the picture itself."""
    others = [normal for normal in inputs.normals if normal is not image]
    return others[rng.integers(len(others))]


def make(image, inputs, rng):
    foreign, patch, own = other(image, inputs, rng), square(image, rng), rng.uniform(0.05, 0.95)
    changed = image.astype(np.float32)
    changed[patch] = own * changed[patch] + (1 - own) * foreign[patch].astype(np.float32)
    label = np.zeros(image.shape[:2], np.float32)
    label[patch] = (1 - own) * (image[patch] != foreign[patch]).any(axis=2)
    return np.rint(changed).astype(np.uint8), label > 0
