"""The ten operators of DRAEM's pool, one library call each, three of them applied in turn."""

import cv2
import numpy as np
from PIL import Image, ImageOps

LUMA = (
    (cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB, 0),
    (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB, 2),
    (cv2.COLOR_RGB2HLS, cv2.COLOR_HLS2RGB, 1),
    (cv2.COLOR_RGB2Lab, cv2.COLOR_Lab2RGB, 0),
    (cv2.COLOR_RGB2Luv, cv2.COLOR_Luv2RGB, 0),
    (cv2.COLOR_RGB2YUV, cv2.COLOR_YUV2RGB, 0),
)


def gamma(image, rng):
    exponents = rng.uniform(0.5, 2, 3)
    return np.rint(255 * (image / 255) ** exponents).astype(np.uint8)


def brightness(image, rng):
    there, back, channel = LUMA[rng.integers(len(LUMA))]
    values = cv2.cvtColor(image, there).astype(np.float32)
    factor, amount = rng.uniform(0.8, 1.2), rng.integers(-30, 31)
    luma = values[:, :, channel]
    values[:, :, channel] = luma * factor + amount if rng.random() < 0.5 else (luma + amount) * factor
    return cv2.cvtColor(np.clip(values, 0, 255).astype(np.uint8), back)


def sharpness(image, rng):
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    smooth = cv2.filter2D(image, -1, kernel)
    smooth[[0, -1]], smooth[:, [0, -1]] = image[[0, -1]], image[:, [0, -1]]
    factor = rng.uniform(0, 2)
    return np.clip(np.rint(factor * image + (1 - factor) * smooth.astype(np.float32)), 0, 255).astype(np.uint8)


def hue_saturation(image, rng):
    values = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL).astype(int)
    values[:, :, 0] = (values[:, :, 0] + rng.integers(-50, 51)) % 256
    values[:, :, 1] = np.clip(values[:, :, 1] + rng.integers(-50, 51), 0, 255)
    return cv2.cvtColor(values.astype(np.uint8), cv2.COLOR_HSV2RGB_FULL)


def solarize(image, rng):
    if rng.random() >= 0.5:
        return image
    return np.where(image >= rng.integers(32, 129), 255 - image, image)


def posterize(image, rng):
    return image & (256 - 2 ** (8 - rng.integers(1, 9))).astype(np.uint8)


def invert(image, rng):
    return 255 - image


def autocontrast(image, rng):
    return np.asarray(ImageOps.autocontrast(Image.fromarray(image), cutoff=int(rng.integers(0, 21))))


def equalize(image, rng):
    return np.asarray(ImageOps.equalize(Image.fromarray(image)))


def rotate(image, rng):
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(-45, 45), 1)
    return cv2.warpAffine(image, matrix, (width, height))


POOL = (gamma, brightness, sharpness, hue_saturation, solarize, posterize, invert, autocontrast, equalize, rotate)


def three_of_ten(image, rng):
    for which in rng.choice(len(POOL), 3, replace=False):
        image = POOL[which](image, rng)
    return image
