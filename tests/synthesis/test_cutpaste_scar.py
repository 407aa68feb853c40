import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, UsageError
from flawsmith.core.recipes import parse_methods
from flawsmith.synthesis import build
from flawsmith.synthesis.cutpaste_scar import CutPasteScar, turned_strip


@pytest.mark.parametrize("rotation", [0.0, 45.0, 90.0])
def test_the_mask_is_as_large_as_the_strip_at_any_angle(made, noise, rotation):
    """w·h ± 20 %; a turned strip of two or three pixels meets one more or one fewer diagonal of the grid, once in a thousand."""
    pixels, method = noise(256, 256), CutPasteScar(rotation=rotation)
    widths, ratios = [], []
    for seed in range(2000):
        anomaly = made(method, pixels, seed)
        _, _, w, h = anomaly.provenance.drawn["source"]
        widths.append(w)
        ratios.append(anomaly.mask.sum() / (w * h))
    apart = abs(np.array(ratios) - 1)
    assert np.mean(ratios) == pytest.approx(1, abs=0.005)
    assert max(apart[np.array(widths) > 3]) <= 0.2
    assert (apart > 0.2).mean() <= 0.002


@pytest.mark.parametrize("preset", ["official", "asbench"])
def test_nothing_changes_off_the_mask(made, noise, preset):
    pixels = noise(100, 150)
    for seed in range(100):
        anomaly = made(CutPasteScar(preset=preset), pixels, seed)
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], pixels[~anomaly.mask])


def test_sizes_are_uniform_in_their_ranges(made, noise):
    method = CutPasteScar(jitter=0.0, require_change=False)
    drawn = np.array([made(method, noise(256, 256), seed).provenance.drawn["source"][2:] for seed in range(2000)])
    assert drawn.min(axis=0).tolist() == [2, 10]
    assert drawn.max(axis=0).tolist() == [16, 25]
    error = 3 * np.array([14, 15]) / np.sqrt(12 * 2000)
    assert (abs(drawn.mean(axis=0) - [9, 17.5]) <= error).all()


def test_asbench_labels_boxes_of_which_half_is_strip(made, noise):
    shares = []
    for seed in range(2000):
        anomaly = made(CutPasteScar(preset="asbench"), noise(256, 256), seed)
        rows, columns = np.flatnonzero(anomaly.mask.any(axis=1)), np.flatnonzero(anomaly.mask.any(axis=0))
        box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert anomaly.mask.sum() == box
        _, _, w, h = anomaly.provenance.drawn["source"]
        shares.append(w * h / box)
    assert np.mean(shares) == pytest.approx(0.54, abs=0.03)


def test_without_a_turn_it_is_a_plain_paste(made, noise):
    pixels = noise(256, 256)
    anomaly = made(CutPasteScar(rotation=0.0, jitter=0.0), pixels, 4)
    sx, sy, w, h = anomaly.provenance.drawn["source"]
    tx, ty, _, _ = anomaly.provenance.drawn["target"]
    np.testing.assert_array_equal(anomaly.image[ty : ty + h, tx : tx + w], pixels[sy : sy + h, sx : sx + w])
    assert anomaly.mask.sum() == w * h


def test_black_corners_belong_to_asbench_alone(made):
    white = np.full((128, 128, 3), 255, np.uint8)
    official = CutPasteScar(jitter=0.0, require_change=False)
    assert min(made(official, white, seed).image.min() for seed in range(20)) == 255
    assert min(made(CutPasteScar(preset="asbench"), white, seed).image.min() for seed in range(20)) == 0


def test_sizes_scale_with_the_picture(made, noise):
    small, large = (
        np.mean([made(CutPasteScar(), noise(side, side), seed).mask.mean() for seed in range(200)]) for side in (256, 512)
    )
    assert small == pytest.approx(large, rel=0.15)
    assert all(made(CutPasteScar(), noise(32, 32), seed).mask.sum() >= 3 for seed in range(50))


def test_the_union_is_a_mix_by_a_fair_coin(made, noise):
    """The paper's union; the names of the defects are the classes of its 3-way variant."""
    union = build(parse_methods("cutpaste,cutpaste_scar"))
    drawn = [made(union, noise(64, 64), seed) for seed in range(2000)]
    share = np.mean([anomaly.defect == "cutpaste" for anomaly in drawn])
    assert {anomaly.defect for anomaly in drawn} == {"cutpaste", "cutpaste_scar"}
    assert share == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(2000))


def test_turning_a_strip_keeps_its_pixels():
    strip = np.full((20, 8, 3), 77, np.uint8)
    canvas, alpha = turned_strip(strip, 30.0, "pixels")
    assert (canvas == 77).all()
    assert alpha.sum() == pytest.approx(160, rel=0.1)
    boxed, _ = turned_strip(strip, 30.0, "box")
    np.testing.assert_array_equal((boxed == 77).all(axis=2), alpha)
    assert (boxed[~alpha] == 0).all()


def test_takes_no_mask(made, noise):
    with pytest.raises(UsageError, match="cutpaste_scar takes no mask"):
        made(CutPasteScar(), noise(), mask=np.ones((96, 128), bool))


@pytest.mark.parametrize(
    "params", [{"width": [-1, 4]}, {"height": [30, 20]}, {"rotation": 200}, {"paste_as": "boxes"}, {"rotation": -1}]
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"cutpaste_scar: parameter {next(iter(params))}"):
        CutPasteScar.from_params(params)


@pytest.mark.parametrize(
    "params", [{"width": (300.0, 301.0)}, {"height": (300.0, 301.0)}, {"height": (250.0, 256.0), "width": (200.0, 201.0)}]
)
def test_refuses_strips_larger_than_the_picture(made, noise, params):
    with pytest.raises(BadParameter, match=f"parameter {next(iter(params))} gives"):
        for seed in range(40):
            made(CutPasteScar(**params), noise(256, 256), seed)
