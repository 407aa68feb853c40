"""Colour jitter of a Pillow picture: brightness, contrast, saturation and hue in random order; the hue with OpenCV."""

import cv2
import numpy as np
from PIL import Image, ImageEnhance

ENHANCE = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def colour_jitter(picture: Image.Image, rng: np.random.Generator, strengths=(0.1, 0.1, 0.1, 0.1)) -> Image.Image:
    for which in rng.permutation(4):
        if which < 3:
            factor = rng.uniform(max(0, 1 - strengths[which]), 1 + strengths[which])
            picture = ENHANCE[which](picture).enhance(factor)
        elif strengths[3]:
            values = cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2HSV_FULL)
            values[:, :, 0] += np.uint8(round(rng.uniform(-strengths[3], strengths[3]) * 255) % 256)
            picture = Image.fromarray(cv2.cvtColor(values, cv2.COLOR_HSV2RGB_FULL))
    return picture
