"""CutOut (DeVries and Taylor 2017) as ASBench draws it: one black square, its centre anywhere, cut off at the borders."""

import numpy as np


def make(image, inputs, rng):
    height, width = image.shape[:2]
    scale = min(height, width) / 256
    length = rng.integers(round(20 * scale), round(50 * scale) + 1)
    y, x = rng.integers(height), rng.integers(width)
    y1, y2 = np.clip([y - length // 2, y + length // 2], 0, height)
    x1, x2 = np.clip([x - length // 2, x + length // 2], 0, width)
    mask = np.zeros((height, width), np.uint8)
    mask[y1:y2, x1:x2] = 1
    return image * (1 - mask[:, :, None]), mask.astype(bool)
