from multiprocessing.reduction import ForkingPickler

import cv2
import numpy as np
import pytest
import skimage.data

from flawsmith.core.errors import BadParameter, DataError, EmptyForeground, UnknownName
from flawsmith.masks.foreground import foreground_mask, parse_rule


def scene(inside=200, outside=20, size=(120, 160)):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: size[0], : size[1]]
    disc = (y - 60) ** 2 + (x - 70) ** 2 < 35**2
    grey = np.where(disc, inside, outside) + rng.normal(0, 3, size)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2), disc


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("auto", 200, 20),
        ("auto", 20, 200),
        ("otsu:bright", 200, 20),
        ("otsu:dark", 20, 200),
        ("triangle", 200, 20),
        ("threshold:100", 20, 200),
        ("threshold:100,bright", 200, 20),
        ("corner", 200, 20),
        ("corner", 20, 200),
        ("nsa:20,60", 200, 20),
        ("nsa:200,60", 20, 200),
        ("otsu:bright,red,c3,o3", 200, 20),
        ("triangle:dark,green", 20, 200),
        ("nsa:20,60,255,20", 200, 20),
        ("grabcut", 200, 20),
        ("grabcut", 20, 200),
    ],
)
def test_finds_a_plain_disc(rule, inside, outside):
    image, disc = scene(inside, outside)
    assert overlap(foreground_mask(parse_rule(rule), image, "p/train/good/0"), disc) > 0.9


def test_none_restricts_nothing():
    assert foreground_mask(parse_rule("none"), scene()[0], "p/train/good/0") is None


@pytest.mark.parametrize("texture", ["brick", "grass", "gravel"])
def test_auto_takes_a_surface_that_fills_the_picture_whole(texture):
    photograph = getattr(skimage.data, texture)()
    for y, x in ((0, 0), (100, 250), (256, 256)):
        pixels = np.repeat(photograph[y : y + 256, x : x + 256, None], 3, axis=2)
        assert foreground_mask(parse_rule("auto"), pixels, "p/train/good/0").all()
        assert not foreground_mask(parse_rule("otsu"), pixels, "p/train/good/0").all()


def test_an_estimate_too_small_becomes_everything():
    image, _ = scene(20, 20)
    image[:3, :3] = 255
    assert foreground_mask(parse_rule("threshold:250,bright"), image, "p/train/good/0").all()
    assert foreground_mask(parse_rule("auto"), np.full((40, 40, 3), 90, np.uint8), "p/train/good/0").all()


def test_own_masks_by_product_and_stem(tmp_path):
    image, disc = scene()
    (tmp_path / "nut").mkdir()
    cv2.imwrite(str(tmp_path / "nut" / "7.png"), disc.astype(np.uint8) * 255)
    cv2.imwrite(str(tmp_path / "7.png"), np.full((60, 80), 255, np.uint8))
    rule = parse_rule(str(tmp_path))
    np.testing.assert_array_equal(foreground_mask(rule, image, "nut/train/good/7"), disc)
    assert foreground_mask(rule, image, "bolt/train/good/7").all()


def test_own_masks_missing_or_empty(tmp_path):
    image, _ = scene()
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((120, 160), np.uint8))
    rule = parse_rule(str(tmp_path))
    with pytest.raises(EmptyForeground, match="no pixel"):
        foreground_mask(rule, image, "p/train/good/0")
    with pytest.raises(DataError, match=r"no mask for p/train/good/1; expected a file named 1\.png") as caught:
        foreground_mask(rule, image, "p/train/good/1")
    assert caught.value.code == "E_MISSING_MASK"
    with pytest.raises(BadParameter, match="no folder"):
        foreground_mask(parse_rule(str(tmp_path / "missing")), image, "p/train/good/0")


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("atuo", UnknownName, "did you mean auto?"),
        ("masks", UnknownName, "needs a slash"),
        ("otsu:brigth", BadParameter, "otsu:bright"),
        ("otsu:bright,dark", BadParameter, "otsu:bright"),
        ("otsu:c6,c7", BadParameter, "closing and opening"),
        ("triangle:c999", BadParameter, "triangle:bright,blue,c8,o3"),
        ("threshold:300", BadParameter, "0…255"),
        ("threshold:nan", BadParameter, "0…255"),
        ("nsa:200,60,20", BadParameter, "several such pairs"),
        ("nsa:", BadParameter, "nsa:200,60"),
        ("grabcut:1", BadParameter, "grabcut, with nothing behind it"),
        ("table", BadParameter, "table:memseg"),
        ("table:memseg,otsu", BadParameter, "table:memseg,auto"),
        ("table:mvtec", UnknownName, "known: memseg, realnet"),
        ("threshold", BadParameter, "threshold:LEVEL"),
        ("threshold:x", BadParameter, "threshold:LEVEL"),
        ("nsa:200", BadParameter, "nsa:200,60"),
        ("auto:1", BadParameter, "auto"),
    ],
)
def test_refuses_words_it_does_not_know(text, error, told):
    with pytest.raises(error) as caught:
        parse_rule(text)
    assert told in str(caught.value)


WORDS = ["none", "auto", "otsu:dark,blue,c8,o3", "nsa:200,60", "table:realnet,auto", "model:nets/u", "./masks"]


@pytest.mark.parametrize("text", WORDS)
def test_rules_travel_to_other_processes(text):
    rule = parse_rule(text)
    assert ForkingPickler.loads(ForkingPickler.dumps(rule)) == rule


def test_hostile_pictures_end_in_a_mask():
    rng = np.random.default_rng(0)
    pictures = [
        np.zeros((32, 32, 3), np.uint8),
        np.full((32, 200, 3), 255, np.uint8),
        rng.integers(0, 256, (33, 47, 3), dtype=np.uint8),
        np.repeat(np.indices((64, 64)).sum(axis=0)[:, :, None] % 2 * 255, 3, axis=2).astype(np.uint8),
    ]
    single = np.zeros((64, 64, 3), np.uint8)
    single[30, 30] = 255
    for image in [*pictures, single]:
        for word in ("auto", "otsu", "triangle", "threshold:100", "corner", "nsa:200,60", "grabcut"):
            mask = foreground_mask(parse_rule(word), image, "p/train/good/0")
            assert mask.dtype == np.bool_
            assert mask.shape == image.shape[:2]
            assert mask.mean() >= 0.05
