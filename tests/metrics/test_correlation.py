import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flawsmith.core.errors import BadParameter
from flawsmith.metrics.correlation import holm, p_of, pearson, spearman

TABLE_IX = {
    "SSIM": ((0.0832, 0.7972), (0.1220, 0.7056), (-0.1624, 0.6141), (0.2360, 0.4603)),
    "PSNR": ((-0.0472, 0.8843), (0.1314, 0.6840), (-0.1813, 0.5729), (-0.4960, 0.1010)),
    "LPIPS": ((0.1068, 0.7412), (-0.2138, 0.5046), (0.2053, 0.5221), (-0.2194, 0.4933)),
    "IS": ((0.6023, 0.0382), (-0.0482, 0.8817), (0.5332, 0.0742), (0.0701, 0.8286)),
    "FID": ((0.0358, 0.9121), (-0.4318, 0.1610), (0.1645, 0.6094), (-0.2800, 0.3782)),
    "KID": ((-0.4152, 0.1796), (-0.3319, 0.2919), (-0.0339, 0.9167), (-0.3698, 0.2368)),
}
"""ASBench, table IX: r and p of MVTec AD, BTAD, MPDD, MTD."""

TABLE_IX_VISA = {0.1958: 0.5419, 0.0336: 0.9174, 0.2278: 0.4764, 0.6882: 0.0134, -0.0163: 0.9599, -0.3915: 0.2082}

MEANS_AND_RANGES = {
    "VII": (
        (0.9649, 0.8410, 0.9009, 0.8629, 0.9778, 0.8871, 0.9759, 0.9127, 0.9639, 0.9638, 0.9593, 0.9499),
        (0.0102, 0.0274, 0.0178, 0.0382, 0.0024, 0.0296, 0.0028, 0.0223, 0.0141, 0.0064, 0.0035, 0.0040),
        -0.9024,
        5.9e-5,
    ),
    "VIII": (
        (0.9132, 0.7915, 0.9208, 0.8172, 0.9062, 0.8385, 0.9072, 0.8614, 0.9138, 0.9139, 0.8435, 0.8526),
        (0.0242, 0.0510, 0.0117, 0.0597, 0.0197, 0.1089, 0.0493, 0.0484, 0.0234, 0.0220, 0.0622, 0.0604),
        -0.7010,
        0.0111,
    ),
}
"""ASBench, tables VII and VIII: mean and range of twelve methods, and the correlation that the text gives."""


@pytest.mark.parametrize(("r", "p"), [pair for row in TABLE_IX.values() for pair in row])
def test_the_printed_p_of_table_ix_follow_from_the_printed_r(r: float, p: float) -> None:
    assert p_of(r, 12) == pytest.approx(p, abs=1.6e-4)  # r is rounded to four decimals


@pytest.mark.parametrize(("r", "p"), TABLE_IX_VISA.items())
def test_those_of_visa_are_not_the_printed_ones_but_follow_all_the_same(r: float, p: float) -> None:
    assert p_of(r, 12) == pytest.approx(p, abs=1e-4)


@pytest.mark.parametrize(("means", "ranges", "r", "p"), MEANS_AND_RANGES.values(), ids=MEANS_AND_RANGES)
def test_better_methods_are_more_stable_over_ratios(
    means: tuple[float, ...], ranges: tuple[float, ...], r: float, p: float
) -> None:
    found = pearson(means, ranges)
    assert found.r == pytest.approx(r, abs=2e-4)
    assert found.p == pytest.approx(p, rel=0.01)
    assert (found.n, found.exact) == (12, False)


def columns(n: int) -> st.SearchStrategy[tuple[list[int], list[int]]]:
    numbers = st.lists(st.integers(-50, 50), min_size=n, max_size=n).filter(lambda each: len(set(each)) > 1)
    return st.tuples(numbers, numbers)


@given(st.integers(3, 9).flatmap(columns))
def test_coefficients_are_those_of_scipy(data: tuple[list[int], list[int]]) -> None:
    x, y = data
    assert pearson(x, y).r == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert spearman(x, y).r == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    if len(x) > 3 and abs(pearson(x, y).r) < 0.999:
        assert pearson(x, y).p == pytest.approx(stats.pearsonr(x, y).pvalue, rel=1e-6)


def test_few_pairs_are_permuted_exhaustively() -> None:
    x, y = [1.0, 2.0, 4.0, 8.0], [1.0, 3.0, 2.0, 9.0]
    found = pearson(x, y)
    every = [abs(np.corrcoef(order, y)[0, 1]) for order in itertools.permutations(x)]
    assert found.p_permutation == pytest.approx(np.mean(np.array(every) >= abs(found.r) - 1e-9))
    assert found.exact


def test_many_pairs_are_permuted_by_a_seeded_draw_and_never_get_0() -> None:
    x = np.arange(30.0)
    same = pearson(x, x)
    assert (same.r, same.p, same.exact) == (pytest.approx(1), pytest.approx(0), False)
    assert same.p_permutation == pytest.approx(1 / 10_001)
    noise = np.random.default_rng(0).normal(size=30)
    assert pearson(x, noise, seed=1) == pearson(x, noise, seed=1)
    assert pearson(x, noise).p_permutation == pytest.approx(pearson(x, noise).p, abs=0.02)


@pytest.mark.parametrize(
    ("x", "y", "reason"), [([1, 2], [2, 1], "too_few_samples"), ([1, 1, 1], [1, 2, 3], "constant"), ([], [], "too_few_samples")]
)
def test_undefined_is_nan_with_a_reason(x: list[float], y: list[float], reason: str) -> None:
    for found in (pearson(x, y), spearman(x, y)):
        assert math.isnan(found.r)
        assert math.isnan(found.p)
        assert math.isnan(found.p_permutation)
        assert found.reason == reason


def test_odd_columns_are_refused() -> None:
    with pytest.raises(BadParameter, match="two of one length"):
        pearson([1, 2, 3], [1, 2])
    with pytest.raises(BadParameter, match="NaN or infinity"):
        pearson([1, 2, math.nan], [1, 2, 3])


def test_tiny_and_huge_columns_are_columns_too() -> None:
    assert pearson([1e-200, 2e-200, 3e-200], [1e200, 3e200, 2e200]).r == pytest.approx(0.5)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    adjusted = holm([0.02, math.nan, 0.01])
    assert (adjusted[0], adjusted[2]) == pytest.approx((0.02, 0.02))
    assert math.isnan(adjusted[1])
    assert holm([0.0, 1.0]) == (0.0, 1.0)
    assert holm([]) == ()


@pytest.mark.parametrize("odd", [2, -1, -1e-9, math.inf, -math.inf])
def test_holm_of_what_is_no_p_value(odd: float) -> None:
    with pytest.raises(BadParameter, match=r"is no p-value; expected 0…1"):
        holm([0.01, odd, math.nan])


def test_nothing_of_table_ix_survives_its_family_of_thirty() -> None:
    printed = [p for row in TABLE_IX.values() for _, p in row] + list(TABLE_IX_VISA.values())
    assert len(printed) == 30
    assert min(holm(printed)) > 0.05
