import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter
from flawsmith.synthesis.riad import Riad


def cells_of(anomaly):
    """The part of each cell that is masked, 0 to 1, row by row."""
    cell, (height, width) = anomaly.provenance.drawn["cell"], anomaly.mask.shape
    starts = [(y, x) for y in range(0, height, cell) for x in range(0, width, cell)]
    return np.array([anomaly.mask[y : y + cell, x : x + cell].mean() for y, x in starts])


@given(seed=st.integers(0, 2**32), height=st.integers(32, 200), width=st.integers(32, 200))
def test_whole_cells_are_blanked_and_nothing_else(made, noise, seed, height, width):
    pixels = np.maximum(noise(height, width), 2)
    anomaly = made(Riad(), pixels, seed)
    assert set(cells_of(anomaly)) == {0.0, 1.0}
    np.testing.assert_array_equal(anomaly.image, np.where(anomaly.mask[..., None], 0, pixels))


def test_cells_lie_in_the_rectangle_and_are_as_many_as_drawn(made, noise):
    pixels, method = np.maximum(noise(256, 256), 2), Riad()
    shares, sizes, capped = [], [], 0
    for seed in range(2000):
        anomaly = made(method, pixels, seed)
        cell = anomaly.provenance.drawn["cell"]
        x, y, w, h = anomaly.provenance.drawn["rectangle"]
        rows, columns = np.flatnonzero(anomaly.mask.any(axis=1)), np.flatnonzero(anomaly.mask.any(axis=0))
        assert rows[0] >= y - cell / 2
        assert rows[-1] < y + h + cell / 2
        assert columns[0] >= x - cell / 2
        assert columns[-1] < x + w + cell / 2
        assert 0.05 * 0.95 <= w * h / 256**2 <= 0.3 * 1.05
        capped += anomaly.mask.mean() > 0.95 * w * h / 256**2
        shares.append(anomaly.mask.mean())
        sizes.append(cell)
    assert {cell: sizes.count(cell) / 2000 for cell in set(sizes)} == pytest.approx(dict.fromkeys((4, 8, 16), 1 / 3), abs=0.032)
    assert min(shares) >= 0.019
    assert max(shares) <= 0.152
    q, a = np.random.default_rng(0).uniform((0.02, 0.05), (0.15, 0.3), (10**6, 2)).T
    assert np.mean(shares) == pytest.approx(np.minimum(q, a).mean(), abs=0.002 + 3 * np.std(shares) / np.sqrt(2000))
    assert capped / 2000 == pytest.approx((q > a).mean(), abs=0.05)


def test_cells_scale_with_the_picture_unless_they_are_exact(made, noise):
    sizes = {
        side: {made(Riad(), np.maximum(noise(side, side), 2), seed).provenance.drawn["cell"] for seed in range(40)}
        for side in (128, 512)
    }
    assert sizes == {128: {2, 4, 8}, 512: {8, 16, 32}}
    exact = {made(Riad(preset="exact"), np.maximum(noise(512, 256), 2), seed).provenance.drawn["cell"] for seed in range(40)}
    assert exact == {4, 8, 16}


def test_exact_refuses_a_picture_that_the_cells_do_not_divide(made, noise):
    with pytest.raises(BadParameter, match="cells of 16 pixels do not divide a picture of 300×250"):
        made(Riad(cells=(16,), grid="exact"), noise(250, 300))
    with pytest.raises(BadParameter, match="do not divide"):
        for seed in range(20):
            made(Riad(preset="exact"), noise(250, 300), seed)
    assert made(Riad(), np.maximum(noise(250, 300), 2)).mask.any()


def test_cells_keep_to_the_object(made, noise):
    pixels = np.full((128, 128, 3), 10, np.uint8)
    disc = ((np.mgrid[:128, :128] - 64.0) ** 2).sum(axis=0) < 40**2
    pixels[disc] = noise(128, 128)[disc] // 2 + 120
    for seed in range(60):
        anomaly = made(Riad(foreground="threshold:60,bright"), pixels, seed)
        assert anomaly.mask.any()
        assert not (anomaly.mask & ~disc).any()
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], pixels[~anomaly.mask])


def test_an_object_thinner_than_half_a_cell_is_hit_where_it_is_widest(made):
    pixels = np.full((128, 128, 3), 10, np.uint8)
    for column in range(8, 128, 16):
        pixels[:, column] = 200
    anomaly = made(Riad(cells=(32,), foreground="threshold:60,bright"), pixels)
    assert anomaly.mask.any()
    assert (pixels[anomaly.mask] == 200).all()


def test_an_asked_mask_holds_the_cells(made, noise):
    asked = np.zeros((96, 128), bool)
    asked[30:70, 20:90] = True
    for seed in range(40):
        anomaly = made(Riad(), np.maximum(noise(), 2), seed, mask=asked)
        assert anomaly.mask.any()
        assert not (anomaly.mask & ~asked).any()
    speck = np.zeros((96, 128), bool)
    speck[30, 20] = True
    np.testing.assert_array_equal(made(Riad(), np.maximum(noise(), 2), mask=speck).mask, speck)


def test_a_black_picture_stays_normal(made):
    assert made(Riad(), np.zeros((64, 64, 3), np.uint8)).is_normal
    assert made(Riad(fill="mean"), np.full((64, 64, 3), 77, np.uint8)).is_normal
    assert made(Riad(require_change=False), np.zeros((64, 64, 3), np.uint8)).mask.any()


def test_mean_fill(made, noise):
    pixels = noise(64, 64)
    anomaly = made(Riad(fill="mean", require_change=False), pixels, 2)
    np.testing.assert_array_equal(np.unique(anomaly.image[anomaly.mask], axis=0), np.rint(pixels.mean(axis=(0, 1)))[None])


@pytest.mark.parametrize(
    "params",
    [
        {"cells": []},
        {"cells": [4, 1]},
        {"share": [0.2, 0.1]},
        {"share": [0, 0.1]},
        {"rectangle": [0.1, 1.0]},
        {"grid": "crop"},
    ],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"riad: parameter {next(iter(params))}"):
        Riad.from_params(params)
