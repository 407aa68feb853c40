"""IC-LPIPS: the running mean equals all pairs, the nearest reference is the nearest, and parity rules do what they say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.metrics import lpips
from flawsmith.metrics.ic_lpips import COMPAT, IcRules, by_area, ic_lpips, mean_pairwise, spread_of
from flawsmith.metrics.lpips import distance, nearest


def drawn(n, seed, d=300):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32) / math.sqrt(d)


def every_pair(vectors):
    pairs = list(itertools.permutations(range(len(vectors)), 2))
    return sum(float(((vectors[i].astype(float) - vectors[j].astype(float)) ** 2).sum()) for i, j in pairs) / len(pairs)


def by_double_loop(generated, references):
    clusters = [[] for _ in references]
    for vector in generated:
        clusters[int(np.argmin([distance(vector, reference) for reference in references]))].append(vector)
    return [every_pair(each) for each in clusters if len(each) > 1], [len(each) for each in clusters]


def test_it_equals_the_explicit_double_loop():
    generated, references = drawn(60, 0), drawn(7, 1)
    spreads, sizes = by_double_loop(generated, references)
    found = ic_lpips(generated, references)
    assert found.value == pytest.approx(np.mean(spreads), rel=1e-6)
    assert list(found.sizes) == sizes
    assert found.left_out == 7 - len(spreads)
    assert found.zero_filled == pytest.approx(sum(spreads) / 7, rel=1e-6)


@given(st.integers(2, 12), st.integers(0, 10**6), st.floats(-1e3, 1e3))
def test_the_mean_over_pairs_by_one_pass(n, seed, offset):
    vectors = drawn(n, seed, 9) + np.float32(offset)
    number, found = mean_pairwise(iter(vectors))
    assert number == n
    assert found == pytest.approx(every_pair(vectors), rel=1e-6, abs=1e-12)


def test_identical_pictures_have_no_spread():
    generated = np.repeat(drawn(1, 2), 8, axis=0)
    found = ic_lpips(generated, drawn(3, 3))
    assert found.value == pytest.approx(0, abs=1e-12)
    assert sorted(found.sizes) == [0, 0, 8]
    assert found.left_out == 2


def test_the_order_does_not_matter():
    generated, references = drawn(40, 4), drawn(5, 5)
    found = ic_lpips(generated, references)
    turned = ic_lpips(generated[::-1], references)
    assert turned.value == pytest.approx(found.value, rel=1e-9)
    assert turned.sizes == found.sizes
    assert ic_lpips(generated, references[::-1]).value == pytest.approx(found.value, rel=1e-9)


def test_clusters_of_one_are_left_out_and_told():
    references = np.eye(4, 300, dtype=np.float32)
    generated = np.concatenate([references[[0, 0, 0]] + drawn(3, 6) * 0.01, references[[1]]])
    found = ic_lpips(generated, references)
    assert found.sizes == (3, 1, 0, 0)
    assert found.left_out == 3
    assert math.isnan(found.spreads[1])
    assert found.value == pytest.approx(every_pair(generated[:3]), rel=1e-6)
    assert found.zero_filled == pytest.approx(found.value / 4, rel=1e-9)


def test_no_cluster_of_two_has_no_number():
    found = ic_lpips(np.eye(2, 5, dtype=np.float32), np.eye(2, 5, dtype=np.float32))
    assert math.isnan(found.value)
    assert found.zero_filled == 0
    assert math.isnan(ic_lpips(np.zeros((0, 5), np.float32), np.eye(2, 5, dtype=np.float32)).zero_filled)


def test_the_nearest_in_blocks_and_among_equals(monkeypatch):
    vectors, references = drawn(30, 7), drawn(11, 8)
    references[9] = references[4]
    vectors[0] = references[4]
    whole = nearest(vectors, references)
    assert whole.tolist() == [int(np.argmin([distance(v, r) for r in references])) for v in vectors]
    assert whole[0] == 4
    monkeypatch.setattr(lpips, "BLOCK", 3 * references[0].nbytes)
    assert nearest(vectors, references).tolist() == whole.tolist()


def test_the_nearest_of_very_long_vectors_is_not_lost_to_rounding():
    """‖x‖² is 1e6 times the distances here: float32 products alone would pick at random."""
    base = np.full(64, 100, np.float32)
    references = np.stack([base + np.float32(step) for step in (0.5, 0.25, 0.75)])
    assert nearest(np.stack([base]), references).tolist() == [1]


def test_a_cap_keeps_the_first_or_a_seeded_draw():
    generated = drawn(30, 9)
    assigned = np.zeros(30, np.int64)
    first = spread_of(generated, assigned, 1, rules=IcRules(cap=5))
    assert first.value == pytest.approx(every_pair(generated[:5]), rel=1e-6)
    assert first.over_cap == 25
    assert first.sizes == (30,)
    rules = IcRules(cap=5, kept="random")
    draws = {spread_of(generated, assigned, 1, rules=rules, seed=seed).value for seed in (0, 0, 1)}
    assert len(draws) == 2
    assert spread_of(generated, assigned, 1, rules=IcRules(cap=30)).over_cap == 0


def test_the_released_implementations():
    assert {name: rules.cap for name, rules in COMPAT.items()} == {"anomalydiffusion": 50, "dfmgan": 200, "seas": 140}
    assert {name for name, rules in COMPAT.items() if rules.bytes_as_is} == {"dfmgan", "seas"}
    assert [name for name, rules in COMPAT.items() if rules.first_third] == ["anomalydiffusion"]
    assert COMPAT["seas"].references_resize == "nearest"


def test_by_area():
    assert by_area(0.06, [0.1, 0.3]) == pytest.approx(0.3)
    assert math.isnan(by_area(0.06, []))


def test_bad_input():
    with pytest.raises(BadParameter, match="no references"):
        ic_lpips(drawn(3, 0), drawn(0, 0))
    with pytest.raises(BadParameter, match="cap is 1"):
        IcRules(cap=1)
    with pytest.raises(BadParameter, match="one network and one picture size"):
        distance(np.zeros(3), np.zeros(4))
    with pytest.raises(DataError, match="not finite"):
        distance(np.array([np.nan]), np.zeros(1))
