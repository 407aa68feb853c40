"""FractalAD's shapes against a chaos game that takes one step after another, and the paper's constraints on the maps."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter
from flawsmith.masks.fractal import (
    BLOCK,
    STEPS,
    chaos_game,
    draw_choices,
    draw_stencil,
    fixed_point,
    fractal_mask,
    probabilities,
    rendered,
    sample_system,
    singular_values,
    stamped,
    starting_points,
)

DRAWS = 2000


def rng(seed=0):
    return np.random.default_rng(seed)


def game(system, points=100_000, seed=0):
    return chaos_game(system, *draw_choices(probabilities(system), points, rng(seed)))


# --- the system


@given(maps=st.integers(2, 16), share=st.floats(0, 1), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=300)
def test_singular_values_are_contractions_with_the_asked_sum(maps, share, seed):
    total = (5 + maps + share) / 2
    values = singular_values(maps, total, rng(seed))
    assert values.shape == (maps, 2)
    assert values.min() >= -1e-12
    assert values.max() <= 1 + 1e-12
    assert (values[:, 0] >= values[:, 1] - 1e-12).all()
    assert (values @ [1, 2]).sum() == pytest.approx(total, abs=1e-9)


@given(total=st.floats(0, 6), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=200)
def test_every_legal_sum_can_be_asked_of_two_maps(total, seed):
    values = singular_values(2, total, rng(seed))
    assert (values @ [1, 2]).sum() == pytest.approx(total, abs=1e-9)
    assert -1e-9 <= values.min() <= values.max() <= 1 + 1e-9


def test_a_system_of_two_has_its_sum_between_3_5_and_4_and_translations_within_1():
    systems = np.array([sample_system(2, rng(seed)) for seed in range(500)])
    singular = np.linalg.svd(systems[..., :2])[1]
    sums = (singular @ [1, 2]).sum(axis=1)
    assert singular.max() <= 1 + 1e-12
    assert 3.5 <= sums.min() < 3.51
    assert 3.99 < sums.max() <= 4
    assert np.abs(systems[..., 2]).max() <= 1
    determinants = np.linalg.det(systems[..., :2])
    assert 0.45 < (determinants < 0).mean() < 0.55  # the signs are fair


def test_maps_are_taken_in_proportion_to_the_area_they_keep():
    system = np.zeros((3, 2, 3))
    system[:, 0, 0], system[:, 1, 1] = [0.5, 0.5, -0.5], [1, 0.5, 0.5]
    np.testing.assert_allclose(probabilities(system), [0.5, 0.25, 0.25])
    np.testing.assert_allclose(probabilities(np.zeros((4, 2, 3))), [0.25] * 4)
    choices, shifts = draw_choices(np.array([0.5, 0.2, 0.3]), 100_000, rng())
    assert choices.shape == (1 + STEPS, 2500)
    shares = np.bincount(choices.ravel()) / choices.size
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=3 * 0.5 / choices.size**0.5)
    assert all(1 <= shift < 2500 for shift in shifts)


# --- the chaos game


@pytest.mark.parametrize(("maps", "seed"), [(2, 0), (2, 1), (3, 2), (5, 3)])
def test_chains_are_what_single_steps_make_of_the_same_choices(maps, seed):
    assert STEPS % BLOCK == 0
    system = sample_system(maps, rng(seed))
    choices, shifts = draw_choices(probabilities(system), 1000, rng(seed))
    xs, ys = chaos_game(system, choices, shifts)
    x, y = starting_points(system.astype(np.float32), choices[0], shifts)
    assert xs.shape == ys.shape == (STEPS, 25)
    for chain in range(25):
        point = x[chain], y[chain]
        for step in range(STEPS):
            (a, b, e), (c, d, f) = system[choices[1 + step, chain]].astype(np.float32)
            point = (a * point[0] + b * point[1]) + e, (c * point[0] + d * point[1]) + f
            assert (xs[step, chain], ys[step, chain]) == point


@pytest.mark.parametrize("seed", range(4))
def test_chains_start_where_their_words_lead(seed):
    system = sample_system(2, rng(seed))
    letters, shifts = (rng(seed).random(25) < 0.4).astype(np.uint8), [3, 7, 11]

    def word(chain, rounds):
        if rounds == 0:
            return [letters[chain]]
        return word(chain, rounds - 1) + word((chain + shifts[rounds - 1]) % 25, rounds - 1)

    starts = starting_points(system.astype(np.float32), letters, shifts)
    for chain in range(25):
        point = np.array(fixed_point(system[0]))
        for letter in reversed(word(chain, 3)):
            point = system[letter, :, :2] @ point + system[letter, :, 2]
        np.testing.assert_allclose(starts[:, chain], point, atol=1e-5 * max(1, np.abs(point).max()))


def test_the_fixed_point_stays():
    for seed in range(50):
        first = sample_system(2, rng(seed))[0]
        point = np.array(fixed_point(first))
        np.testing.assert_allclose(first[:, :2] @ point + first[:, 2], point, atol=1e-9 * max(1, np.abs(point).max()))
    assert fixed_point(np.array([[1.0, 0, 0.3], [0, 1.0, 0.4]])) == (0.3, 0.4)


def one_long_chain(system, points, seed=0):
    choices = (rng(seed).random(points) >= probabilities(system)[0]).tolist()
    maps = system.reshape(2, 6).tolist()
    x, y = fixed_point(system[0])
    found = []
    for choice in choices:
        a, b, e, c, d, f = maps[choice]
        x, y = a * x + b * y + e, c * x + d * y + f
        found.append((x, y))
    return np.array(found).T


def slow_system():
    """One map turns and hardly contracts, so a chain needs hundreds of steps to forget where it began."""
    turn = 0.99 * np.array([[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]])
    return np.array([np.c_[turn, [0.4, -0.7]], [[0.2, 0.1, -0.9], [-0.3, 0.1, 0.8]]])


@pytest.mark.parametrize("system", [slow_system(), sample_system(2, rng(3)), sample_system(2, rng(4))])
def test_many_short_chains_fill_what_one_long_chain_fills(system):
    long = rendered(*one_long_chain(system, 100_000), 96)
    short = rendered(*game(system), 96)
    again = rendered(*one_long_chain(system, 100_000, seed=1), 96)
    assert abs(short.mean() - long.mean()) < 0.03
    near = [cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for mask in (long, short)]
    strays = [(one & ~other).sum() / one.sum() for one, other in ((short, near[0]), (long, near[1]), (again, near[0]))]
    assert max(strays[:2]) <= 0.02 + 2 * strays[2]


@pytest.mark.parametrize("seed", range(12))
def test_the_attractor_is_mapped_into_itself(seed):
    """To 2 pixels, and but for one point in 1,000: 100,000 points do not reach the thin ends of every attractor."""
    system = sample_system(2, rng(seed))
    xs, ys = (values.ravel() for values in game(system, seed=seed))
    reach = 3
    near = np.pad(rendered(xs, ys, 96), reach).astype(np.uint8)
    near = cv2.dilate(near, np.ones((5, 5), np.uint8)) > 0
    for (a, b, e), (c, d, f) in system:
        images = (a * xs + b * ys + e, c * xs + d * ys + f)
        at = [95 * (v - own.min()) / (own.max() - own.min()) for v, own in zip(images, (xs, ys), strict=True)]
        row, column = (np.clip(np.floor(v).astype(int) + reach, 0, 95 + 2 * reach) for v in at)
        assert near[row, column].mean() > 0.999


# --- the picture


def test_points_fall_into_the_pixels_of_their_stretched_box():
    xs = np.array([[0.0, 1.0, 0.26], [0.5, 0.999, 0.74]], np.float32)
    ys = np.array([[10.0, 10.0, 14.0], [12.0, 10.1, 13.0]], np.float32)
    expected = np.zeros((5, 5), bool)
    expected[[0, 4, 1, 2, 3, 2], [0, 0, 4, 2, 0, 3]] = True
    np.testing.assert_array_equal(rendered(xs, ys, 5), expected)
    assert rendered(np.ones((2, 3), np.float32), ys[:, :3], 9).any(axis=1).tolist() == [True] + [False] * 8


@pytest.mark.parametrize("side", [8, 77, 500, 4097])
def test_the_box_reaches_all_four_borders_and_no_further(side):
    xs, ys = game(sample_system(2, rng(5)))
    mask = rendered(xs, ys, side)
    assert mask.shape == (side, side)
    assert all(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    row, column = ((side - 1) * (v - v.min()) / np.float64(v.max() - v.min()) for v in (xs.astype(float), ys.astype(float)))
    expected = np.zeros((side, side), bool)
    expected[row.astype(int), column.astype(int)] = True
    assert (mask != expected).sum() <= 0.01 * expected.sum()  # points on the border of two pixels


@given(seed=st.integers(0, 2**32), side=st.integers(3, 12))
@settings(deadline=None, max_examples=60)
def test_a_stencil_is_put_down_on_every_pixel(seed, side):
    pixels, stencil = rng(seed).random((side, side)) < 0.15, draw_stencil(rng(seed))
    expected = np.zeros((side + 2, side + 2), bool)
    for y, x in np.argwhere(pixels):
        expected[y : y + 3, x : x + 3] |= stencil
    np.testing.assert_array_equal(stamped(pixels, stencil), expected[1:-1, 1:-1])


def test_stencils_are_fair_and_never_empty():
    stencils = np.array([draw_stencil(r) for r in [rng()] for _ in range(4000)])
    assert stencils.any(axis=(1, 2)).all()
    np.testing.assert_allclose(stencils.mean(axis=0), 256 / 511, atol=4 * 0.5 / 4000**0.5)


def test_fractals_fill_their_square_as_the_spec_measured():
    """Mean 0.38, 5 to 95 %: 0.15 to 0.68, at the 96 pixels that its times are given for; the number of its draws is not told, and
    its own two figures of the mean (0.386, 0.380) lie as far apart as those of some 500 draws do."""
    r = rng(1)
    fills = np.array([fractal_mask(96, r).mask.mean() for _ in range(DRAWS)])
    assert fills.mean() == pytest.approx(0.38, abs=3 * fills.std() * (1 / DRAWS + 1 / 500) ** 0.5 + 0.005)
    for quantile, told in ((0.05, 0.15), (0.95, 0.68)):
        density = np.mean(np.abs(fills - np.quantile(fills, quantile)) < 0.02) / 0.04
        error = (0.05 * 0.95 * (1 / DRAWS + 1 / 500)) ** 0.5 / density
        assert np.quantile(fills, quantile) == pytest.approx(told, abs=3 * error + 0.005)


def test_the_same_generator_draws_the_same_fractal_on_any_number_of_threads():
    before = cv2.getNumThreads()
    try:
        masks = []
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            masks.append([fractal_mask(side, rng(side)).mask.tobytes() for side in (8, 60, 127, 300)])
    finally:
        cv2.setNumThreads(before)
    assert masks[0] == masks[1] == masks[2]
    told = fractal_mask(40, rng(2), maps=3, points=1000).drawn
    assert np.shape(told["system"]) == (3, 6)
    assert set(told["stencil"]) <= {0, 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"side": 7}, "side is 7; expected at least 8"),
        ({"side": 40, "points": 999}, "points are 999; expected at least 1000"),
        ({"side": 40, "maps": 1}, "maps are 1; expected 2…16"),
        ({"side": 40, "maps": 17}, "maps are 17; expected 2…16"),
    ],
)
def test_refuses_what_cannot_be_drawn(arguments, message):
    with pytest.raises(BadParameter, match=message):
        fractal_mask(rng=rng(), **arguments)
