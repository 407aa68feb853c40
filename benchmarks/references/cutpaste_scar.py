"""CutPaste-Scar (Li et al. 2021), section 2.3: a thin strip, changed in colour, turned, pasted. With Pillow."""

import numpy as np
from PIL import Image

from benchmarks.references.jitter import colour_jitter


def make(image, inputs, rng):
    height, width = image.shape[:2]
    scale = min(height, width) / 256
    w, h = (max(1, round(side * scale)) for side in (rng.uniform(2, 16), rng.uniform(10, 25)))
    x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    picture = Image.fromarray(image)
    patch = colour_jitter(picture.crop((x, y, x + w, y + h)), rng)
    patch = patch.convert("RGBA").rotate(rng.uniform(-45, 45), expand=True)
    outline = patch.split()[-1]
    at = (int(rng.integers(width - patch.width + 1)), int(rng.integers(height - patch.height + 1)))
    picture.paste(patch.convert("RGB"), at, outline)
    mask = Image.new("L", (width, height), 0)
    mask.paste(outline, at)
    return np.asarray(picture), np.asarray(mask) > 0
