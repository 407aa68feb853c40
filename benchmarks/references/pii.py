"""Poisson image interpolation (Tan et al. 2021): the patch of FPI, its gradients mixed, solved as a sparse system by LU."""

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from benchmarks.references.fpi import other, square


def make(image, inputs, rng):
    foreign, (rows, columns), alpha = other(image, inputs, rng), square(image, rng), rng.uniform(0.05, 0.95)
    top, bottom = max(1, rows.start), min(image.shape[0] - 1, rows.stop)
    left, right = max(1, columns.start), min(image.shape[1] - 1, columns.stop)
    inner, around = (slice(top, bottom), slice(left, right)), (slice(top - 1, bottom + 1), slice(left - 1, right + 1))
    own, source = image[around].astype(float), foreign[around].astype(float)
    solved = interpolated(own, source, alpha)
    changed = image.copy()
    changed[inner] = np.rint(np.clip(solved, image.min(), image.max())).astype(np.uint8)
    label = np.zeros(image.shape[:2], bool)
    label[inner] = (changed[inner] != image[inner]).any(axis=2)
    return changed, label


def interpolated(own, source, alpha):
    """Solve Σ(u_p - u_q) = Σ v_pq inside, with the stronger of the two weighted differences as v and `own` on the rim."""
    height, width = own.shape[0] - 2, own.shape[1] - 2
    count = height * width
    number = np.arange(count).reshape(height, width)
    wanted = np.zeros((height, width, own.shape[2]))
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        here = (slice(1, -1), slice(1, -1))
        there = (slice(1 + dy, 1 + dy + height), slice(1 + dx, 1 + dx + width))
        mine, foreign = (1 - alpha) * (own[here] - own[there]), alpha * (source[here] - source[there])
        wanted += np.where(np.abs(mine) > np.abs(foreign), mine, foreign)
    diagonals = [np.full(count, 4.0)]
    beside = np.where(number.ravel()[1:] % width == 0, 0.0, -1.0)
    below = np.full(max(count - width, 0), -1.0)
    matrix = scipy.sparse.diags([beside, beside, below, below, *diagonals], [1, -1, width, -width, 0], format="csc")
    wanted[0] += own[0, 1:-1]
    wanted[-1] += own[-1, 1:-1]
    wanted[:, 0] += own[1:-1, 0]
    wanted[:, -1] += own[1:-1, -1]
    return scipy.sparse.linalg.splu(matrix).solve(wanted.reshape(count, -1)).reshape(wanted.shape)
