import cv2
import numpy as np
import pytest

from flawsmith.core.errors import BadParameter
from flawsmith.masks.perlin import draw_noise, noise_of_angles, perlin_mask, perlin_noise

DRAWS = 2000
SPEC_DRAWS = 4000


def dense(shape, angles, every=1):
    """Perlin noise pixel by pixel, straight from its definition."""
    cells = angles.shape[0] - 1, angles.shape[1] - 1
    noise = np.zeros((len(range(0, shape[0], every)), len(range(0, shape[1], every))))
    for i in range(0, shape[0], every):
        for j in range(0, shape[1], every):
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
            noise[i // every, j // every] = np.sqrt(2) * (top + fy * (bottom - top))
    return noise


@pytest.mark.parametrize(("shape", "cells"), [((64, 64), (4, 8)), ((50, 61), (4, 2)), ((33, 40), (1, 16))])
def test_equals_the_dense_form(shape, cells):
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    np.testing.assert_allclose(noise_of_angles(shape, angles), dense(shape, angles), atol=1e-12)


@pytest.mark.parametrize(("shape", "cells"), [((250, 300), (8, 32)), ((103, 632), (16, 4)), ((256, 256), (32, 32))])
def test_sizes_need_no_divisor(shape, cells):
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    np.testing.assert_allclose(noise_of_angles(shape, angles)[::7, ::7], dense(shape, angles, every=7), atol=1e-12)


@pytest.mark.parametrize("window", [(0, 0, 300, 250), (17, 30, 1, 9), (120, 5, 140, 245), (299, 249, 1, 1)])
def test_a_window_is_a_part_of_the_whole(window):
    x, y, w, h = window
    angles = np.random.default_rng(1).uniform(0, 2 * np.pi, (9, 17))
    part = noise_of_angles((250, 300), angles, window)
    np.testing.assert_allclose(part, noise_of_angles((250, 300), angles)[y : y + h, x : x + w], atol=1e-13)


@pytest.mark.parametrize("window", [(0, 0, 120, 90), (0, 0, 10, 8), (50, 40, 1, 1), (100, 60, 20, 30)])
@pytest.mark.parametrize("seed", range(5))
def test_a_window_of_turned_noise_is_a_part_of_the_whole(window, seed):
    x, y, w, h = window
    whole, part = (draw_noise((90, 120), np.random.default_rng(seed), (0, 4), 90.0, part) for part in (None, window))
    np.testing.assert_allclose(part.field, whole.field[y : y + h, x : x + w], atol=1e-4)


def test_turned_noise_is_that_of_opencv():
    rng = np.random.default_rng(2)
    exponents = [int(rng.integers(4)), int(rng.integers(4))]
    angles = rng.uniform(0, 2 * np.pi, (2 ** exponents[0] + 1, 2 ** exponents[1] + 1))
    matrix = cv2.getRotationMatrix2D((79.5, 49.5), rng.uniform(-90, 90), 1.0)
    expected = cv2.warpAffine(noise_of_angles((100, 160), angles).astype(np.float32), matrix, (160, 100))
    found = draw_noise((100, 160), np.random.default_rng(2), (0, 3), 90.0)
    assert found.exponents == tuple(exponents)
    np.testing.assert_allclose(found.field, expected, atol=1e-4)


def test_what_exceeds_nothing_is_not_turned():
    draws = [draw_noise((64, 64), np.random.default_rng(seed), (0, 0), 90.0, above=0.5) for seed in range(100)]
    whole = [draw_noise((64, 64), np.random.default_rng(seed), (0, 0), 90.0) for seed in range(100)]
    assert any(draw is None for draw in draws)
    for draw, other in zip(draws, whole, strict=True):
        assert (other.field <= 0.5).all() if draw is None else (draw.field == other.field).all()


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


@pytest.fixture(scope="module")
def standard():
    """Masks of the standard draw at 256, empty ones among them."""
    rng = np.random.default_rng(5)
    return [perlin_mask((256, 256), rng, on_empty="keep").mask for _ in range(DRAWS)]


def percentile_error(values, q):
    """Standard error of a percentile of `DRAWS` values against that of the specification's `SPEC_DRAWS`."""
    drawn = np.random.default_rng(0).choice(values, (400, len(values)))
    return np.std(np.percentile(drawn, q, axis=1)) * np.sqrt(1 + DRAWS / SPEC_DRAWS)


def share_error(share, n_spec):
    return np.sqrt(share * (1 - share) * (1 / DRAWS + 1 / n_spec))


def test_area_of_the_standard_draw(standard):
    areas = np.array([100 * mask.mean() for mask in standard])
    error = areas.std() * np.sqrt(1 / DRAWS + 1 / SPEC_DRAWS)
    assert areas.mean() == pytest.approx(4.9, abs=3 * error + 0.05)
    for q, told, rounding in ((5, 0.13, 0.005), (50, 4.6, 0.05), (95, 9.3, 0.05)):
        assert np.percentile(areas, q) == pytest.approx(told, abs=3 * percentile_error(areas, q) + rounding)


def test_components_of_the_standard_draw(standard):
    counts = np.array([cv2.connectedComponents(mask.view(np.uint8))[0] - 1 for mask in standard])
    assert np.median(counts) == pytest.approx(9, abs=3 * percentile_error(counts, 50) + 0.5)


def test_emptiness_of_the_standard_draw(standard):
    empty = np.mean([not mask.any() for mask in standard])
    assert empty == pytest.approx(0.045, abs=3 * share_error(0.045, SPEC_DRAWS) + 0.0005)


def test_unturned_masks_are_larger_and_empty_as_often():
    rng = np.random.default_rng(6)
    areas = np.array([100 * perlin_mask((256, 256), rng, rotation=0.0, on_empty="keep").mask.mean() for _ in range(DRAWS)])
    assert areas.mean() == pytest.approx(5.5, abs=3 * areas.std() * np.sqrt(1 / DRAWS + 1 / SPEC_DRAWS) + 0.05)
    assert (areas == 0).mean() == pytest.approx(0.045, abs=3 * share_error(0.045, SPEC_DRAWS) + 0.0005)


@pytest.mark.parametrize(
    ("most", "share", "rounding"), [(0, 0.53, 0.005), (1, 0.26, 0.005), (2, 0.07, 0.005), (3, 0.004, 0.0005)]
)
def test_emptiness_by_the_larger_exponent(most, share, rounding):
    """The larger exponent was `most` in (2·most + 1) / 36 of the specification's 4,000 draws."""
    assert empty_share(most) == pytest.approx(share, abs=3 * share_error(share, SPEC_DRAWS * (2 * most + 1) / 36) + rounding)


@pytest.mark.parametrize("most", [4, 5])
def test_fine_noise_is_never_empty(most):
    assert empty_share(most) == 0


def empty_share(most):
    rng = np.random.default_rng(7 + most)
    empty = []
    while len(empty) < DRAWS:
        noise = draw_noise((256, 256), rng, (0, most), 0.0)
        if max(noise.exponents) == most:
            empty.append(noise.field.max() <= 0.5)
    return np.mean(empty)


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
