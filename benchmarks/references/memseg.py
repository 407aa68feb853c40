"""MemSeg (Yang et al. 2023): a foreign texture, or the picture's own cells in another order, under Perlin noise on the object."""

import numpy as np

from benchmarks.references.draem import blended
from benchmarks.references.operators import three_of_ten
from benchmarks.references.perlin import perlin_mask

GRID = 8


def shuffled(image, rng):
    """The augmented picture, its 8×8 cells permuted."""
    height, width = image.shape[0] // GRID, image.shape[1] // GRID
    changed = three_of_ten(image, rng)
    cells = [changed[y * height : (y + 1) * height, x * width : (x + 1) * width] for y in range(GRID) for x in range(GRID)]
    order = rng.permutation(GRID * GRID)
    rows = [np.concatenate([cells[k] for k in order[row * GRID : (row + 1) * GRID]], axis=1) for row in range(GRID)]
    return np.concatenate(rows)


def make(image, inputs, rng):
    mask = perlin_mask(image.shape[:2], rng)
    foreign = rng.random() < 0.5
    source = inputs.textures[rng.integers(len(inputs.textures))] if foreign else shuffled(image, rng)
    return blended(image, source, mask, rng.uniform(0.15, 1)), mask
