"""DeSTSeg (Zhang et al. 2023): as DRAEM, but the texture is pasted as it is."""

from benchmarks.references.draem import blended
from benchmarks.references.perlin import perlin_mask


def make(image, inputs, rng):
    texture = inputs.textures[rng.integers(len(inputs.textures))]
    mask = perlin_mask(image.shape[:2], rng)
    return blended(image, texture, mask, 1 - 0.8 * rng.random()), mask
