"""Natural synthetic anomalies (Schlüter et al. 2022): resized patches of another normal, cloned in with `cv2.seamlessClone`.

`make`: the table's row for textures (four patches of Gamma-drawn sides, mixed gradients, logistic label). `make_asbench`: one
patch of the same picture, uniform sides, normal gradients, binary label.
"""

import cv2
import numpy as np
from skimage.filters import median
from skimage.morphology import disk

from benchmarks.references.fpi import other

LEAST, TOLERANCE = 50, 1


def make(image, inputs, rng):
    source = other(image, inputs, rng)
    changed, union = image, np.zeros(image.shape[:2], bool)
    for number in range(4):
        if number == 0 or rng.random() < 0.5:
            changed = cloned(changed, source, union, rng, (0.03, 0.4), (0.5, 2), cv2.MIXED_CLONE, gamma=True)
    apart = np.abs(changed.astype(np.float32) - image.astype(np.float32)).mean(axis=2) * union
    label = median((apart > TOLERANCE).astype(np.uint8), np.ones((5, 5)))
    intensity = median(apart, disk(5))
    soft = label / (1 + np.exp(-(intensity - 20) / 6))
    return changed, soft > 0


def make_asbench(image, inputs, rng):
    union = np.zeros(image.shape[:2], bool)
    changed = cloned(image, image, union, rng, (0.05, 0.2), (0.7, 1.3), cv2.NORMAL_CLONE, gamma=False)
    apart = np.abs(changed.astype(np.float32) - image.astype(np.float32)).mean(axis=2) * union
    return changed, cv2.medianBlur((apart > TOLERANCE).astype(np.uint8), 5) > 0


def half_width(extent, bounds, rng, gamma):
    low, high = bounds
    if gamma:
        return int(np.clip((0.03 + rng.gamma(2, 0.05)) * extent, low * extent, high * extent))
    return int(rng.integers(round(low * extent), round(high * extent)))


def cloned(image, source, union, rng, bounds, resize, mode, gamma):
    """Clone one patch of the source into a copy of the image, and mark its place in the union."""
    size = image.shape[:2]
    halves = [half_width(extent, bounds, rng, gamma) for extent in size]
    margins = [int(bounds[0] * extent) for extent in size]
    middle = [int(rng.integers(m, extent - m)) for m, extent in zip(margins, size, strict=True)]
    box = [(max(0, c - h), min(extent, c + h)) for c, h, extent in zip(middle, halves, size, strict=True)]
    patch = source[box[0][0] : box[0][1], box[1][0] : box[1][1]]
    shape, limits = patch.shape, [(bounds[0] * extent, bounds[1] * extent) for extent in size]
    h = int(np.clip(np.clip(rng.normal(1, 0.5), *resize) * shape[0], *limits[0]))
    w = int(np.clip(h * shape[1] / shape[0], *limits[1]))
    h = int(np.clip(w * shape[0] / shape[1], *limits[0]))
    patch = cv2.resize(patch, (w, h))
    mask = np.full((h, w), 255, np.uint8)
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    if cv2.countNonZero(mask) < LEAST:
        return image
    y, x = int(rng.integers(h // 2 + 1, size[0] - h // 2 - 1)), int(rng.integers(w // 2 + 1, size[1] - w // 2 - 1))
    union[y - h // 2 : y - h // 2 + h, x - w // 2 : x - w // 2 + w] = True
    return cv2.seamlessClone(patch, image, mask, (x, y), mode)
