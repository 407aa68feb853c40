"""FractalAD (Xia et al.): a patch of the picture, changed in colour, turned, pasted through the shape of an IFS fractal.

Without the jitter of the whole picture, which the stream does here. The chaos game runs as 2,000 chains side by side: one
point after the other in plain Python takes far longer than the original, which compiled that loop with Numba.
"""

import cv2
import numpy as np
from PIL import Image

from benchmarks.references.jitter import colour_jitter

POINTS, CHAINS, BURN_IN = 100_000, 2_000, 16


def singular_values(rng, n=2):
    """n pairs s1 ≥ s2 with Σ (s1 + 2 s2) = a, drawn one after the other."""
    total = rng.uniform((5 + n) / 2, (6 + n) / 2)
    p, q, pairs = total, total - 3 * n + 3, []
    for _ in range(n - 1):
        first = rng.uniform(max(0, q / 3), min(1, p))
        q, p = q - first, p - first
        second = rng.uniform(max(0, q / 2), min(first, p / 2))
        q, p = q - 2 * second + 3, p - 2 * second
        pairs.append((first, second))
    second = rng.uniform(max(0, (p - 1) / 2), p / 3)
    return [*pairs, (p - 2 * second, second)]


def rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def system(rng):
    """Two contractive affine maps: linear parts, translations."""
    linear, shift = [], []
    for pair in singular_values(rng):
        left, right = rotation(rng.uniform(-np.pi, np.pi)), rotation(rng.uniform(-np.pi, np.pi))
        linear.append(left @ np.diag(rng.choice([-1, 1], 2)) @ np.diag(pair) @ right @ np.diag(rng.choice([-1, 1], 2)))
        shift.append(rng.uniform(-1, 1, 2))
    return np.array(linear), np.array(shift)


def chaos_game(rng):
    """100,000 points of the attractor: their x and their y."""
    linear, shift = system(rng)
    weight = np.abs(np.linalg.det(linear))
    point = np.linalg.solve(np.eye(2) - linear[0], shift[0])
    x, y = np.full(CHAINS, point[0]), np.full(CHAINS, point[1])
    xs, ys = [], []
    for step in range(BURN_IN + POINTS // CHAINS):
        which = (rng.random(CHAINS) * weight.sum() >= weight[0]).astype(int)
        (a, b), (c, d) = linear[which].transpose(1, 2, 0)
        e, f = shift[which].T
        x, y = a * x + b * y + e, c * x + d * y + f
        if step >= BURN_IN:
            xs.append(x)
            ys.append(y)
    return np.concatenate(xs), np.concatenate(ys)


def fractal(side, rng):
    """The attractor in a square, each point stamped with a random 3×3 stencil."""
    rows, columns = (
        ((values - values.min()) / (values.max() - values.min()) * (side - 1)).astype(int) for values in chaos_game(rng)
    )
    stencil = rng.random((3, 3)) < 0.5
    while not stencil.any():
        stencil = rng.random((3, 3)) < 0.5
    canvas = np.zeros((side + 2, side + 2), bool)
    for dy, dx in np.argwhere(stencil):
        canvas[rows + dy, columns + dx] = True
    return canvas[1:-1, 1:-1]


def jittered(patch, rng):
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray(colour_jitter(Image.fromarray(patch), rng, (0.2, 0.2, 0.2, 0.2)))
    if kind == 1:
        return np.asarray(colour_jitter(Image.fromarray(patch), rng, (1, 1, 0, 0)))
    values = patch.astype(np.float32)
    for channel in rng.integers(0, 3, 2):
        values[:, :, channel] *= rng.uniform(0, 2)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def corner(size, side, rng):
    """The top left of a patch in the middle of the picture: from a tenth of each axis to nine tenths."""
    return [int(rng.uniform(0.1 * extent, max(0.1 * extent + 1, 0.9 * extent - side))) for extent in size]


def make(image, inputs, rng):
    height, width = image.shape[:2]
    side = int(rng.uniform(0.1, 0.5) * min(height, width))
    y, x = corner((height, width), side, rng)
    patch = jittered(image[y : y + side, x : x + side], rng)
    patch = patch[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), rng.uniform(15, 75), 1)
    patch = cv2.warpAffine(np.ascontiguousarray(patch), matrix, (side, side))
    outline = cv2.warpAffine(np.ones((side, side), np.uint8), matrix, (side, side), flags=cv2.INTER_NEAREST) > 0
    support = outline & fractal(side, rng)
    y, x = corner((height, width), side, rng)
    changed, mask = image.copy(), np.zeros((height, width), np.uint8)
    changed[y : y + side, x : x + side][support] = patch[support]
    mask[y : y + side, x : x + side] = support
    mask = cv2.dilate(mask, np.ones((3, 3), np.uint8), iterations=round(3 * min(height, width) / 256)) > 0
    if rng.random() < 0.5:
        noise = rng.normal(0, 10, (height, width, 1)) * mask[:, :, None]
        changed = np.clip(np.rint(changed + noise), 0, 255).astype(np.uint8)
    return changed, mask
