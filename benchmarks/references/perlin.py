"""Perlin noise (Perlin 2002) as the originals compute it: four corner products per pixel, then turned and cut at 0.5."""

import cv2
import numpy as np

THRESHOLD, REDRAWS = 0.5, 10


def perlin_noise(shape, cells, rng):
    angles = 2 * np.pi * rng.random((cells[0] + 1, cells[1] + 1))
    gradients = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    block = (shape[0] // cells[0], shape[1] // cells[1])
    ramp = np.stack(np.meshgrid(*(np.arange(n) / b % 1 for n, b in zip(shape, block, strict=True)), indexing="ij"), axis=-1)

    def corner(down, right):
        near = gradients[down : down + cells[0], right : right + cells[1]]
        spread = near.repeat(block[0], axis=0).repeat(block[1], axis=1)
        return (spread * (ramp - [down, right])).sum(axis=-1)

    fade = 6 * ramp**5 - 15 * ramp**4 + 10 * ramp**3
    upper = corner(0, 0) + fade[:, :, 1] * (corner(0, 1) - corner(0, 0))
    lower = corner(1, 0) + fade[:, :, 1] * (corner(1, 1) - corner(1, 0))
    return np.sqrt(2) * (upper + fade[:, :, 0] * (lower - upper))


def turned(noise, degrees):
    height, width = noise.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    return cv2.warpAffine(noise, matrix, (width, height))


def perlin_mask(shape, rng, foreground=None):
    """A mask that is not empty, if ten draws suffice."""
    for _ in range(REDRAWS):
        cells = 2 ** rng.integers(0, 6, 2)
        noise = turned(perlin_noise(shape, cells, rng), rng.uniform(-90, 90))
        mask = noise > THRESHOLD if foreground is None else (noise > THRESHOLD) & foreground
        if mask.any():
            break
    return mask
