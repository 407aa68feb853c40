"""The mask rules of released code: golden rows by hand, the libraries called directly, and the effects that the spec claims."""

from pathlib import Path

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from PIL import Image

from flawsmith.core.errors import BadParameter, NoPixelTruth, UnknownName
from flawsmith.core.samples import ArraySource, Region, Sample
from flawsmith.data.reading import Code, FileSource, MaskEncoding
from flawsmith.data.resize import MASK_RULES, mask_as, resize_mask_as

SHRINKING = ("truncate", "truncate-bicubic")
GROWING = ("any", "any-bicubic", "any-bilinear")
NEUTRAL = ("area", "half", "half-bilinear", "nearest", "nearest-torch")


def row(values, width, rule):
    return resize_mask_as(np.array([values], np.uint8), (1, width), rule)[0].astype(int).tolist()


GOLDEN = {
    # half a row on. Pillow's triangle is 4 wide there: the dark half gets 1/7 of the light one, its cubic a negative lobe as well
    (0, 0, 255, 255): {
        "area": [0, 1],
        "truncate": [0, 1],
        "truncate-bicubic": [0, 0],
        "any": [0, 1],
        "any-bicubic": [1, 1],
        "any-bilinear": [1, 1],
        "half": [0, 1],
        "half-bilinear": [0, 1],
        "nearest": [0, 1],
        "nearest-torch": [0, 1],
    },
    # the last pixel off: the mean of the right pair is half; Pillow's nearest takes pixels 1 and 3, torch's 0 and 2
    (255, 255, 255, 0): {
        "area": [1, 1],
        "truncate": [1, 0],
        "any": [1, 1],
        "half": [1, 1],
        "nearest": [1, 0],
        "nearest-torch": [1, 1],
    },
    # grey file values: 1 and 254 are defect to some and not to others
    (1, 1, 254, 254): {
        "area": [1, 1],
        "truncate": [0, 0],
        "truncate-bicubic": [0, 0],
        "any": [1, 1],
        "any-bicubic": [1, 1],
        "any-bilinear": [1, 1],
        "half": [0, 1],
        "half-bilinear": [1, 1],
        "nearest": [1, 1],
        "nearest-torch": [1, 1],
    },
    # 127 is below one half of 255, 128 is above
    (127, 127, 128, 128): {"half": [0, 1], "half-bilinear": [1, 1], "truncate": [0, 0], "any": [1, 1]},
    # a mask of 0 and 1: nothing of it is 255, and 1/255 is far below one half
    (0, 0, 1, 1): {"area": [0, 1], "truncate": [0, 0], "half": [0, 0], "any": [0, 1], "half-bilinear": [0, 1], "nearest": [0, 1]},
}


@pytest.mark.parametrize(("values", "rule"), [(values, rule) for values, rules in GOLDEN.items() for rule in rules])
def test_golden_rows(values, rule):
    assert row(values, 2, rule) == GOLDEN[values][rule]


@pytest.mark.parametrize("rule", MASK_RULES)
def test_at_its_own_size_a_mask_is_only_thresholded(rule):
    values = np.array([[0, 1, 127], [128, 254, 255]], np.uint8)
    kept = {"truncate": 255, "truncate-bicubic": 255, "half": 128}.get(rule, 1)
    assert (resize_mask_as(values, (2, 3), rule) == (values >= kept)).all()


def pillow(values, size, filter_):
    return np.array(Image.fromarray(values).resize((size[1], size[0]), filter_))


def opencv(values, size):
    return cv2.resize(values, dsize=(size[1], size[0])) / 255.0


def torchvision_resize(values, size):
    return torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None].float().div(255),
        size=list(size),
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )[0, 0]


LIBRARIES = {
    "truncate": lambda v, s: opencv(v, s).astype(int),
    "any": lambda v, s: opencv(v, s) != 0,
    "truncate-bicubic": lambda v, s: (pillow(v, s, Image.BICUBIC) / 255.0).astype(int),
    "any-bicubic": lambda v, s: pillow(v, s, Image.BICUBIC) != 0,
    "any-bilinear": lambda v, s: pillow(v, s, Image.BILINEAR) != 0,
    "half": lambda v, s: (~(torchvision_resize(v, s) < 0.5)).numpy(),
    "half-bilinear": lambda v, s: pillow((v > 0).astype(np.uint8) * 255, s, Image.BILINEAR) / 255 > 0.5,
    "nearest": lambda v, s: pillow(v, s, Image.NEAREST) != 0,
    "nearest-torch": lambda v, s: torch.nn.functional.interpolate(
        torch.from_numpy(v > 0)[None, None].float(), size=list(s), mode="nearest"
    )[0, 0].numpy(),
}
sides = st.integers(1, 40)


@settings(max_examples=60)
@given(sides, sides, sides, sides, st.sampled_from(sorted(LIBRARIES)), st.integers(0, 2**32 - 1), st.booleans())
def test_each_rule_is_what_its_library_gives(height, width, new_height, new_width, rule, seed, grey):
    rng = np.random.default_rng(seed)
    values = (
        rng.integers(0, 256, (height, width)).astype(np.uint8) if grey else (rng.random((height, width)) < 0.5) * np.uint8(255)
    )
    resized = resize_mask_as(values, (new_height, new_width), rule)
    assert resized.dtype == np.bool_
    assert (resized == LIBRARIES[rule](values, (new_height, new_width)).astype(bool)).all()


def test_every_rule_but_ours_is_compared_with_a_library():
    assert set(LIBRARIES) == set(MASK_RULES) - {"area"}
    assert set(SHRINKING) | set(GROWING) | set(NEUTRAL) == set(MASK_RULES)


def disc(side=900, radius=40):
    rows, columns = np.ogrid[:side, :side]
    return ((rows - 431) ** 2 + (columns - 377) ** 2 <= radius**2).astype(np.uint8) * 255


@pytest.mark.parametrize("rule", MASK_RULES)
def test_the_effects_that_the_spec_claims(rule):
    values = disc()
    share = resize_mask_as(values, (256, 256), rule).mean() / (values > 0).mean()
    if rule in SHRINKING:
        assert 0.8 < share < 0.98
    elif rule in GROWING:
        assert 1.02 < share < 1.3
    else:
        assert abs(share - 1) < 0.01


def test_eroded_neutral_and_dilated_masks_lie_in_each_other():
    values = disc()
    found = {rule: resize_mask_as(values, (256, 256), rule) for rule in MASK_RULES}
    assert (found["truncate"] <= found["half"]).all()
    assert (found["half"] <= found["any-bilinear"]).all()
    assert (found["truncate-bicubic"] <= found["any-bicubic"]).all()
    assert found["truncate"].sum() < found["half"].sum() < found["any"].sum()


def test_truncation_takes_a_third_of_a_line_of_three_pixels():
    """OpenCV's bilinear sample is 255 only between two lit pixels: 2 of the 3 pixels' width, over all alignments."""
    lit = []
    for first in range(300, 300 + 225):  # 900 / 256 = 225 / 64: every alignment once
        values = np.zeros((900, 4), np.uint8)
        values[first : first + 3] = 255
        lit.append(resize_mask_as(values, (256, 4), "truncate")[:, 0].mean())
    assert np.mean(lit) / (3 / 900) == pytest.approx(2 / 3, abs=0.02)


def test_what_cannot_be_resized_is_refused():
    values = np.zeros((4, 4), np.uint8)
    with pytest.raises(UnknownName, match="truncate"):
        resize_mask_as(values, (2, 2), "trunkate")
    with pytest.raises(BadParameter, match="uint8"):
        resize_mask_as(values.astype(bool), (2, 2))
    with pytest.raises(BadParameter, match="uint8"):
        resize_mask_as(np.zeros((4, 4, 3), np.uint8), (2, 2))
    with pytest.raises(BadParameter, match="at least 1"):
        resize_mask_as(values, (0, 2))


def sample(source, defect="dent"):
    return Sample("p/test/dent/1", "p", defect, "test", "1", source)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((2, 4, 3), np.uint8)).save(tmp_path / "image.png")
    Image.fromarray(np.array([[1, 1, 254, 255], [0, 0, 0, 0]], np.uint8)).save(tmp_path / "mask.png")
    Image.fromarray(np.array([[0, 9, 0, 0], [0, 0, 0, 7]], np.uint8)).save(tmp_path / "more.png")
    return tmp_path


def test_the_values_of_a_mask_file_are_reachable(folder):
    grey = MaskEncoding("threshold", 127)
    source = FileSource(folder, "image.png", "dent", ("mask.png",), grey)
    assert source.mask_values().tolist() == [[1, 1, 254, 255], [0, 0, 0, 0]]
    both = FileSource(folder, "image.png", "dent", ("mask.png", "more.png"), grey)
    assert both.mask_values().tolist() == [[1, 9, 254, 255], [0, 0, 0, 7]]


def test_the_default_takes_the_data_sets_rule_and_parity_takes_the_file(folder):
    grey = sample(FileSource(folder, "image.png", "dent", ("mask.png",), MaskEncoding("threshold", 127)))
    assert mask_as(grey, (2, 4)).astype(int).tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]
    assert mask_as(grey, (2, 4), "nearest").astype(int).tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    assert mask_as(grey, (2, 4), "truncate").astype(int).tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


DENT = Code("dent", 1, True)
ENCODINGS = {
    "binary": (MaskEncoding(), 255),
    "threshold": (MaskEncoding("threshold", 127), 254),
    "class_id": (MaskEncoding("class_id", classes={"dent": 1, "scratch": 2}), 1),
    "coded": (MaskEncoding("coded", codes={250: DENT}), 250),
}
"""Kind → the encoding, and a value that is its defect."""


@pytest.mark.parametrize("rule", MASK_RULES)
@pytest.mark.parametrize("kind", ENCODINGS)
def test_every_encoding_keeps_its_truth_under_every_rule(rule, kind, tmp_path):
    """Truncation takes grey values, which released code has seen, and no class ids and codes, which it has not."""
    encoding, value = ENCODINGS[kind]
    values = np.zeros((8, 8), np.uint8)
    values[2:6, 2:6] = value
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "image.png")
    Image.fromarray(values).save(tmp_path / "mask.png")
    found = mask_as(sample(FileSource(tmp_path, "image.png", "dent", ("mask.png",), encoding)), (8, 8), rule)
    taken = kind == "threshold" and rule.startswith("truncate")
    assert np.array_equal(found, (values > 0) & (not taken))


def test_class_ids_and_codes_of_several_files_are_one_mask_of_0_and_255(folder):
    codes = dict.fromkeys((1, 7, 9, 254, 255), DENT)
    for encoding in (MaskEncoding("coded", codes=codes), MaskEncoding("class_id", classes={"dent": 1})):
        both = FileSource(folder, "image.png", "dent", ("mask.png", "more.png"), encoding)
        assert both.mask_values().tolist() == [[255] * 4, [0, 0, 0, 255]]


@pytest.mark.parametrize("rule", MASK_RULES)
def test_masks_in_memory_and_normals(rule, folder):
    mask = np.array([[True, True, False, False]])
    held = sample(ArraySource(np.zeros((1, 4, 3), np.uint8), (Region("dent", mask),)))
    assert mask_as(held, (1, 4), rule).tolist() == mask.tolist()
    normal = sample(FileSource(folder, "image.png", "good"), "good")
    assert not mask_as(normal, (3, 5), rule).any()
    assert FileSource(folder, "image.png", "good").mask_values().tolist() == [[0] * 4] * 2


def test_an_anomaly_without_a_mask_has_no_values(folder):
    with pytest.raises(NoPixelTruth):
        mask_as(sample(FileSource(folder, "image.png", "dent")), (2, 2), "any")
