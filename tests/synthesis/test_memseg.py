from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.requests import Request
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.seeding import Seed
from flawsmith.data.dataset import Dataset
from flawsmith.synthesis.destseg import DeSTSeg
from flawsmith.synthesis.memseg import MemSeg
from flawsmith.synthesis.sets import synthesize
from flawsmith.testing.synthesizer_case import digest
from flawsmith.testing.synthesizer_form import assert_form

EVERYWHERE = {"foreground": "none", "opacity": (1, 1)}


@pytest.fixture
def part(noise):
    """A bright textured part on a dark ground, and where it is."""
    inside = np.zeros((96, 96), bool)
    inside[20:76, 16:72] = True
    picture = np.full((96, 96, 3), 12, np.uint8)
    picture[inside] = 150 + noise(96, 96)[inside] // 4
    return picture, inside


@pytest.fixture
def magenta(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.full((30, 30, 3), (255, 0, 255), np.uint8))
    return str(tmp_path)


def cells_of(picture, side):
    height, width = picture.shape[:2]
    grid = picture.reshape(height // side, side, width // side, side, 3).swapaxes(1, 2)
    return Counter(piece.tobytes() for piece in grid.reshape(-1, side * side * 3))


def test_stays_on_the_object(made, part):
    picture, inside = part
    anomalies = [made(MemSeg(), picture, seed) for seed in range(200)]
    assert not any((a.mask & ~inside).any() for a in anomalies)
    assert all(a.mask.any() for a in anomalies)


@pytest.mark.parametrize(("rule", "bright"), [("threshold:100,bright", True), ("threshold:100", False)])
def test_the_rule_says_which_side_is_the_object(made, part, rule, bright):
    picture, inside = part
    for seed in range(20):
        anomaly = made(MemSeg(foreground=rule), picture, seed)
        assert anomaly.mask.any()
        assert inside[anomaly.mask].all() == bright
        assert inside[anomaly.mask].any() == bright


@pytest.mark.parametrize("cells", [(8, 8), (4, 8)])
def test_structural_anomalies_are_the_pictures_cells_in_another_order(made, noise, cells):
    pixels, everywhere = noise(64, 64), np.ones((64, 64), bool)
    method = MemSeg(texture_share=0, structural_operators=0, cells=cells, **EVERYWHERE)
    anomaly = made(method, pixels, mask=everywhere)
    assert cells_of(anomaly.image, 8) == cells_of(pixels, 8)
    order = anomaly.provenance.drawn["order"]
    assert sorted(order) == list(range(cells[0] * cells[1]))
    assert order != sorted(order)


def test_structural_anomalies_are_augmented_before_they_are_cut(made, noise):
    pixels, everywhere = noise(64, 64), np.ones((64, 64), bool)
    for seed in range(10):
        anomaly = made(MemSeg(texture_share=0, **EVERYWHERE), pixels, seed, mask=everywhere)
        assert len(anomaly.provenance.drawn["operators"]) == 3
        assert anomaly.provenance.drawn["texture"] == "structural"


def test_one_cell_and_no_augmentation_change_nothing(made, noise):
    pixels = noise(64, 64)
    still = {"texture_share": 0, "structural_operators": 0, "cells": (1, 1), "foreground": "none"}
    anomaly = made(MemSeg(**still), pixels)
    assert anomaly.is_normal
    np.testing.assert_array_equal(anomaly.image, pixels)
    released = made(MemSeg(require_change=False, **still), pixels)
    assert released.mask.any()
    np.testing.assert_array_equal(released.image, pixels)


def test_half_of_the_anomalies_take_a_texture(made, noise):
    pixels = noise(32, 32)
    drawn = [made(MemSeg(foreground="none"), pixels, seed).provenance.drawn for seed in range(2000)]
    share = np.mean([one["texture"] != "structural" for one in drawn])
    assert share == pytest.approx(0.5, abs=0.03)
    assert all(one["operators"] == [] for one in drawn if one["texture"] != "structural")
    opacities = np.array([one["opacity"] for one in drawn])
    assert opacities.min() > 0.15
    counts, _ = np.histogram(opacities, 5, (0.15, 1.0))
    assert np.abs(counts - 400).max() < 3 * np.sqrt(2000 * 0.2 * 0.8)


def test_without_textures_every_anomaly_is_structural(made, noise):
    method = MemSeg(textures="structural", foreground="none", texture_share=1)
    assert {made(method, noise(32, 32), seed).provenance.drawn["texture"] for seed in range(200)} == {"structural"}


def test_the_texture_really_reaches_the_picture(made, part, magenta):
    picture, _ = part
    method = MemSeg(textures=magenta, texture_share=1, opacity=(1, 1))
    for seed in range(20):
        anomaly = made(method, picture, seed)
        assert (anomaly.image[anomaly.mask] == (255, 0, 255)).all()
        assert not (anomaly.image[~anomaly.mask] == (255, 0, 255)).all(axis=1).any()


def test_grey_pictures_stay_grey(made, noise, magenta):
    grey = np.repeat(noise(64, 64)[..., :1], 3, axis=2)
    for seed in range(30):
        anomaly = made(MemSeg(textures=magenta, foreground="none"), grey, seed)
        assert (anomaly.image == anomaly.image[..., :1]).all()


@pytest.mark.parametrize("size", [(250, 300), (103, 632), (33, 47)])
def test_any_size_will_do_and_parity_refuses_what_the_grid_does_not_divide(made, noise, size):
    pixels = noise(*size)
    for seed in range(6):
        anomaly = made(MemSeg(texture_share=0, foreground="none"), pixels, seed)
        assert anomaly.image.shape == pixels.shape
        assert anomaly.mask.any()
    parity = MemSeg(preset="asbench_destseg", foreground="none")
    near = f"{size[1] // 8 * 8}×{size[0] // 8 * 8}"
    for seed in range(4):
        with pytest.raises(BadParameter, match=f"the picture is {size[1]}×{size[0]}.*such as {near}.*uneven=mirror"):
            made(parity, pixels, seed)


def test_a_foreground_that_no_mask_fits_into_is_a_normal(made, noise, tmp_path):
    inside = np.zeros((64, 64), np.uint8)
    inside[5, 5] = 255
    cv2.imwrite(str(tmp_path / "0.png"), inside)
    anomaly = made(MemSeg(foreground=str(tmp_path)), noise(64, 64), 1)
    assert anomaly.is_normal
    assert anomaly.provenance.status == "no_placement"
    assert anomaly.provenance.attempts == 10


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("official", {"foreground": "auto", "opacity": (0.15, 1), "operators": 0, "structural_operators": 3, "rotation": 90}),
        ("asbench_draem", {"foreground": "threshold:100", "opacity": (0, 0.8), "structural_operators": 3, "rotation": 90}),
        ("asbench_destseg", {"foreground": "threshold:100", "opacity": (0.15, 1), "structural_operators": 0, "rotation": 0}),
        ("asbench", {"foreground": "table:memseg", "opacity": (0.15, 1), "structural_operators": 3, "rotation": 90}),
        ("asbench_realnet", {"foreground": "table:memseg", "texture_share": 1, "opacity": (0.15, 1), "rotation": 90}),
        ("asbench_realnet_draem", {"foreground": "threshold:100", "texture_share": 1, "opacity": (0.5, 1), "rotation": 90}),
        ("asbench_realnet_destseg", {"foreground": "threshold:100", "texture_share": 0.5, "opacity": (0.15, 1), "rotation": 0}),
        ("realnet", {"texture_share": 1, "opacity": (0.5, 1), "operators": 0, "foreground": "table:realnet,auto"}),
        ("realnet_dtd", {"texture_share": 1, "opacity": (0.2, 1), "operators": 3, "foreground": "table:realnet,auto"}),
    ],
)
def test_presets_are_those_of_the_sources(preset, expected):
    method = MemSeg(preset=preset)
    assert {name: getattr(method, name) for name in expected} == expected
    assert method.exponents == (0, 5)


@pytest.fixture(scope="module")
def bottles(noise):
    """Three bottles from above as MVTec AD shows them: dark, on a white ground; and where they are."""
    y, x = np.mgrid[:256, :256] - 127.5
    glass = x**2 + y**2 < 90**2
    pictures = [np.where(glass[..., None], noise(256, 256, seed) // 3, 255).astype(np.uint8) for seed in range(3)]
    samples = (
        Sample(f"bottle/train/good/{k}", "bottle", "good", "train", str(k), ArraySource(p)) for k, p in enumerate(pictures)
    )
    return Dataset("mvtec", Path("bottles"), "folder", tuple(samples)), glass


@pytest.mark.parametrize("preset", MemSeg.presets)
def test_every_preset_as_it_stands(bottles, preset):
    """At 256 pixels, which the grid divides, on a product that every table knows."""
    data, glass = bottles
    settings = [f"memseg.preset={preset}"]
    made = list(synthesize(data, "memseg", 6, split="none", settings=settings))
    again = synthesize(data, "memseg", 6, split="none", settings=settings)
    digests = set()
    for k, anomaly in enumerate(made):
        normal = next(sample for sample in data.samples if sample.id == anomaly.provenance.normal_id)
        assert_form(anomaly, Request(normal, Seed(0)))
        assert anomaly.mask.any()
        assert not (anomaly.mask & ~glass).any()
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], normal.image()[~anomaly.mask])
        assert (anomaly.image != normal.image()).any() or anomaly.provenance.drawn["opacity"] < 0.01  # kept as released
        assert digest(anomaly) == digest(again[k])
        digests.add(digest(anomaly))
    assert len(digests) == 6


def test_asbenchs_table_knows_the_classes_of_mvtec_alone(part):
    picture, inside = part

    def of(product):
        return Request(Sample(f"{product}/train/good/0", product, "good", "train", "0", ArraySource(picture)), Seed(0))

    method = MemSeg(preset="asbench", on_empty="resample")
    (hazelnut,) = method.synthesize([of("hazelnut")])  # 50/T: brighter than 50
    assert hazelnut.mask.any()
    assert not (hazelnut.mask & ~inside).any()
    (capsule,) = method.synthesize([of("capsule")])  # 120/F: not brighter than 120
    assert capsule.mask.any()
    assert not (capsule.mask & inside).any()
    with pytest.raises(UnknownName, match="tile_of_mine"):
        method.synthesize([of("tile_of_mine")])
    assert MemSeg(preset="realnet").synthesize([of("tile_of_mine")])[0].mask.any()


def test_realnet_always_takes_a_texture(made, noise):
    drawn = [made(MemSeg(preset="realnet", foreground="none"), noise(32, 32), seed).provenance.drawn for seed in range(200)]
    assert "structural" not in {one["texture"] for one in drawn}
    assert min(one["opacity"] for one in drawn) > 0.5


def test_a_texture_everywhere_is_destsegs(made, noise):
    """With every anomaly a texture and no foreground it is DeSTSeg's generator with another opacity."""
    pixels = noise()
    for seed in range(10):
        one = made(MemSeg(texture_share=1, foreground="none"), pixels, seed)
        other = made(DeSTSeg(opacity=(0.15, 1)), pixels, seed)
        np.testing.assert_array_equal(one.mask, other.mask)
        assert one.provenance.drawn["opacity"] == other.provenance.drawn["opacity"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("cells", [0, 8]), ("cells", [8, 33]), ("texture_share", 1.1), ("structural_operators", 11), ("uneven", "crop")],
)
def test_refuses_parameters_out_of_range(name, value):
    with pytest.raises(BadParameter, match=f"memseg: parameter {name}"):
        MemSeg.from_params({name: value})
