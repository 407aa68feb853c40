import numpy as np
import pytest

from flawsmith.core.errors import BadParameter
from flawsmith.masks.perlin import noise_of_angles, perlin_mask, perlin_noise


def dense(shape, angles):
    """Perlin noise pixel by pixel, straight from its definition."""
    cells = angles.shape[0] - 1, angles.shape[1] - 1
    noise = np.zeros(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            y, x = i * cells[0] / shape[0], j * cells[1] / shape[1]
            cy, cx = int(y), int(x)
            fy, fx = (6 * t**5 - 15 * t**4 + 10 * t**3 for t in (y - cy, x - cx))
            corners = {}
            for dy in (0, 1):
                for dx in (0, 1):
                    angle = angles[cy + dy, cx + dx]
                    corners[dy, dx] = np.cos(angle) * (y - cy - dy) + np.sin(angle) * (x - cx - dx)
            top = corners[0, 0] + fx * (corners[0, 1] - corners[0, 0])
            bottom = corners[1, 0] + fx * (corners[1, 1] - corners[1, 0])
            noise[i, j] = np.sqrt(2) * (top + fy * (bottom - top))
    return noise


@pytest.mark.parametrize(("shape", "cells"), [((64, 64), (4, 8)), ((50, 61), (4, 2)), ((33, 40), (1, 16))])
def test_equals_the_dense_form(shape, cells):
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    np.testing.assert_allclose(noise_of_angles(shape, angles), dense(shape, angles), atol=1e-12)


def test_is_zero_at_the_corners_of_the_lattice():
    noise = perlin_noise((64, 96), (4, 8), np.random.default_rng(1))
    assert np.abs(noise[::16, ::12]).max() < 1e-12
    assert np.abs(noise).max() < 1


def test_a_full_turn_of_the_angles_changes_nothing():
    angles = np.random.default_rng(2).uniform(0, 2 * np.pi, (5, 5))
    np.testing.assert_allclose(noise_of_angles((40, 40), angles), noise_of_angles((40, 40), angles + 2 * np.pi), atol=1e-12)


def test_more_cells_along_y_cross_zero_more_often_along_y_only():
    def crossings(cells, axis):
        rng = np.random.default_rng(3)
        fields = [perlin_noise((256, 256), cells, rng) for _ in range(40)]
        return np.mean([(np.diff(np.signbit(field), axis=axis) != 0).mean() for field in fields])

    assert crossings((16, 8), 0) / crossings((8, 8), 0) == pytest.approx(2, rel=0.1)
    assert crossings((16, 8), 1) / crossings((8, 8), 1) == pytest.approx(1, rel=0.1)


def test_threshold_zero_covers_one_half():
    rng = np.random.default_rng(4)
    areas = [perlin_mask((128, 128), rng, threshold=0.0, rotation=0.0).mask.mean() for _ in range(200)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)


def test_area_and_emptiness_of_the_standard_draw():
    rng = np.random.default_rng(5)
    areas = np.array([perlin_mask((256, 256), rng, on_empty="keep").mask.mean() for _ in range(2000)])
    assert areas.mean() == pytest.approx(0.049, abs=0.004)
    assert (areas == 0).mean() == pytest.approx(0.045, abs=0.015)


@pytest.mark.parametrize("shape", [(32, 32), (61, 97), (256, 256)])
def test_resampling_leaves_no_mask_empty(shape):
    rng = np.random.default_rng(6)
    draws = [perlin_mask(shape, rng) for _ in range(200)]
    assert all(draw.mask.any() and draw.mask.shape == shape for draw in draws)
    assert max(draw.attempts for draw in draws) <= 10


def test_lowers_the_threshold_where_nothing_exceeds_it():
    draw = perlin_mask((64, 64), np.random.default_rng(7), exponents=(0, 0), threshold=0.99)
    assert draw.attempts == 10
    assert draw.drawn["threshold"] < 0.99
    assert draw.mask.mean() == pytest.approx(0.05, abs=0.01)


def test_stays_inside_the_foreground():
    foreground = np.zeros((96, 96), bool)
    foreground[10:20, 60:90] = True
    rng = np.random.default_rng(8)
    for _ in range(50):
        mask = perlin_mask((96, 96), rng, foreground=foreground).mask
        assert mask.any()
        assert not (mask & ~foreground).any()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"exponents": (3, 1)}, "exponents"),
        ({"exponents": (-1, 1)}, "exponents"),
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": -1.0}, "threshold"),
    ],
)
def test_refuses_bad_ranges(fields, named):
    with pytest.raises(BadParameter, match=named):
        perlin_mask((64, 64), np.random.default_rng(0), **fields)


def test_refuses_more_cells_than_pixels():
    with pytest.raises(BadParameter, match="cells along x is 65; expected 1…64"):
        perlin_noise((64, 64), (4, 65), np.random.default_rng(0))
