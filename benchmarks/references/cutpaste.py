"""CutPaste (Li et al. 2021), section 2.2: a rectangle of the picture, changed in colour, pasted elsewhere. With Pillow."""

import numpy as np
from PIL import Image

from benchmarks.references.jitter import colour_jitter


def make(image, inputs, rng):
    height, width = image.shape[:2]
    area = rng.uniform(0.02, 0.15) * height * width
    aspect = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))
    w, h = min(width, round(np.sqrt(area * aspect))), min(height, round(np.sqrt(area / aspect)))
    from_x, from_y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    to_x, to_y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    picture = Image.fromarray(image)
    patch = colour_jitter(picture.crop((from_x, from_y, from_x + w, from_y + h)), rng)
    picture.paste(patch, (to_x, to_y))
    mask = np.zeros((height, width), bool)
    mask[to_y : to_y + h, to_x : to_x + w] = True
    return np.asarray(picture), mask
