import cv2
import numpy as np
import pytest
import skimage.data

from flawsmith.masks.grabcut import by_grabcut, explained_by_border


def scene(size, inside, outside):
    rng = np.random.default_rng(0)
    mask = np.zeros(size, np.uint8)
    cv2.circle(mask, (size[1] // 2, size[0] // 2), int(0.28 * min(size)), 1, -1)
    grey = np.where(mask, inside, outside) + rng.normal(0, 3, size)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2), mask.view(bool)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize(("inside", "outside"), [(200, 20), (20, 230)])
@pytest.mark.parametrize("size", [(256, 256), (250, 330), (600, 600)])
def test_finds_a_disc(size, inside, outside):
    image, disc = scene(size, inside, outside)
    assert overlap(by_grabcut(image), disc) > 0.9


@pytest.mark.parametrize("texture", ["brick", "grass", "gravel"])
def test_a_texture_is_everywhere(texture):
    image = np.repeat(getattr(skimage.data, texture)()[:256, :256, None], 3, axis=2)
    assert explained_by_border(image) > 0.85
    assert by_grabcut(image).all()


def test_holes_are_filled_and_specks_dropped():
    image, disc = scene((256, 256), 200, 20)
    image[120:140, 120:140] = 20
    image[20:24, 20:24] = 200
    found = by_grabcut(image)
    assert found[120:140, 120:140].all()
    assert not found[10:40, 10:40].any()
    assert overlap(found, disc) > 0.9


def test_one_picture_has_one_answer():
    rng = np.random.default_rng(1)
    image, _ = scene((128, 128), 140, 60)
    image = np.clip(image + rng.normal(0, 25, image.shape), 0, 255).astype(np.uint8)
    first = by_grabcut(image)
    cv2.setRNGSeed(77)
    by_grabcut(scene((128, 128), 20, 200)[0])
    np.testing.assert_array_equal(by_grabcut(image), first)
    assert first.any()


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_plain_picture_is_everywhere(level):
    assert by_grabcut(np.full((32, 40, 3), level, np.uint8)).all()
