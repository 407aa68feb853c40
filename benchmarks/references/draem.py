"""DRAEM (Zavrtanik et al. 2021), section 3.2: an augmented foreign texture blended in where Perlin noise exceeds 0.5."""

import numpy as np

from benchmarks.references.operators import three_of_ten
from benchmarks.references.perlin import perlin_mask


def blended(image, texture, mask, opacity):
    """I' = (1-M) I + M (β I + (1-β) A), in floats from 0 to 1, 1-β the opacity."""
    normal, source, m = image.astype(np.float32) / 255, texture.astype(np.float32) / 255, mask[:, :, None].astype(np.float32)
    mixed = (1 - m) * normal + m * ((1 - opacity) * normal + opacity * source)
    return np.rint(255 * mixed).astype(np.uint8)


def make(image, inputs, rng):
    texture = three_of_ten(inputs.textures[rng.integers(len(inputs.textures))], rng)
    mask = perlin_mask(image.shape[:2], rng)
    return blended(image, texture, mask, 1 - 0.8 * rng.random()), mask
