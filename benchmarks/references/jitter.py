"""Colour jitter as torchvision does it to a Pillow picture: brightness, contrast, saturation and hue in random order."""

import numpy as np
from PIL import Image, ImageEnhance

ENHANCE = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def colour_jitter(picture: Image.Image, rng: np.random.Generator, strengths=(0.1, 0.1, 0.1, 0.1)) -> Image.Image:
    for which in rng.permutation(4):
        if which < 3:
            factor = rng.uniform(max(0, 1 - strengths[which]), 1 + strengths[which])
            picture = ENHANCE[which](picture).enhance(factor)
        elif strengths[3]:
            hue, saturation, value = picture.convert("HSV").split()
            shift = np.uint8(round(rng.uniform(-strengths[3], strengths[3]) * 255) % 256)
            turned = Image.fromarray(np.asarray(hue) + shift)
            picture = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    return picture
