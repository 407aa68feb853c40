"""CutPasteByMask (UniADC, section 3.3): a component of a real defect, flipped or turned, pasted through its mask."""

import cv2
import numpy as np

SMALLEST, CONTEXT, TRIES = 64, 0.25, 100


def crops(inputs):
    """Every component that is large enough, cut out with a quarter of its box around it. Once."""
    if "crops" not in inputs.prepared:
        found = []
        for picture, truth in inputs.anomalies:
            _, _, stats, _ = cv2.connectedComponentsWithStats(truth.astype(np.uint8), connectivity=8)
            for x, y, w, h, area in stats[1:]:
                if area >= SMALLEST * (min(truth.shape) / 256) ** 2:
                    dy, dx = int(CONTEXT * h), int(CONTEXT * w)
                    window = slice(max(0, y - dy), y + h + dy), slice(max(0, x - dx), x + w + dx)
                    found.append((picture[window], truth[window].astype(np.uint8)))
        inputs.prepared["crops"] = found
    return inputs.prepared["crops"]


def turned(patch, mask, degrees):
    """Both turned about their centre, the canvas as large as it must be."""
    height, width = mask.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (int(np.ceil(width * cos + height * sin)), int(np.ceil(width * sin + height * cos)))
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return cv2.warpAffine(patch, matrix, size), cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST)


def augmented(patch, mask, rng):
    if rng.random() < 0.5:
        patch, mask = patch.transpose(1, 0, 2), mask.T
    kind = rng.integers(4)
    if kind == 1:
        patch, mask = patch[:, ::-1], mask[:, ::-1]
    elif kind == 2:
        patch, mask = patch[::-1], mask[::-1]
    elif kind == 3:
        patch, mask = turned(np.ascontiguousarray(patch), np.ascontiguousarray(mask), float(rng.integers(0, 91)))
    return patch, mask > 0


def make(image, inputs, rng):
    height, width = image.shape[:2]
    found = crops(inputs)
    least = 0.5 * min(mask.sum() for _, mask in found)
    for _ in range(TRIES):
        patch, mask = augmented(*found[rng.integers(len(found))], rng)
        h, w = mask.shape
        if h > height or w > width:
            continue
        y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
        label = np.zeros((height, width), np.uint8)
        label[y : y + h, x : x + w] = mask
        if cv2.morphologyEx(label, cv2.MORPH_CLOSE, np.ones((6, 6), np.uint8)).sum() >= least:
            break
    changed = image.copy()
    changed[y : y + h, x : x + w][mask] = patch[mask]
    return changed, label > 0
