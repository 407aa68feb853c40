import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.detectors.coreset import greedy_k_centre, projected


def naive(rows: torch.Tensor, size: int, first: int) -> list[int]:
    """Algorithm 1 as it is written."""
    chosen = [first]
    while len(chosen) < size:
        nearest = torch.cdist(rows.double(), rows[chosen].double()).min(1).values
        chosen.append(int(nearest.argmax()))
    return chosen


def radius(rows: torch.Tensor, chosen: torch.Tensor | list[int]) -> float:
    return float(torch.cdist(rows, rows[chosen]).min(1).values.max())


def rows_of(seed: int, n: int, d: int, spread: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, spread, (5, d))
    return torch.from_numpy((centres[rng.integers(0, 5, n)] + rng.normal(0, 1, (n, d))).astype(np.float32))


@given(seed=st.integers(0, 10_000), n=st.integers(2, 80), d=st.integers(1, 12), spread=st.floats(0, 30), data=st.data())
def test_it_is_the_plain_algorithm(seed: int, n: int, d: int, spread: float, data: st.DataObject) -> None:
    rows = rows_of(seed, n, d, spread)
    size, first = data.draw(st.integers(1, n)), data.draw(st.integers(0, n - 1))
    chosen = greedy_k_centre(rows, size, first)
    assert len(set(chosen.tolist())) == len(chosen) <= size
    assert len(chosen) == size or radius(rows, chosen) < 2e-2  # what is left is a copy but for rounding
    assert radius(rows, chosen) <= radius(rows, naive(rows, size, first)) * (1 + 1e-3) + 1e-3


def test_the_order_is_that_of_the_plain_algorithm() -> None:
    rows = rows_of(3, 400, 16)
    assert greedy_k_centre(rows, 60, 7).tolist() == naive(rows, 60, 7)


def test_from_one_end_of_a_line_the_second_centre_is_the_other_end() -> None:
    line = torch.linspace(0, 1, 33)[:, None] * torch.tensor([[3.0, 4.0]])
    assert greedy_k_centre(line, 2, 0).tolist() == [0, 32]


def test_the_first_centre_is_in_the_memory() -> None:
    rows = rows_of(0, 50, 4)
    assert all(greedy_k_centre(rows, 5, first)[0] == first for first in range(50))


def test_it_covers_better_than_chance() -> None:
    ours, chance = [], []
    for seed in range(10):
        rows = rows_of(seed, 300, 6, spread=4)
        ours.append(radius(rows, greedy_k_centre(rows, 20, seed)))
        chance.append(radius(rows, np.random.default_rng(seed).choice(300, 20, replace=False).tolist()))
    assert np.mean(ours) < 0.9 * np.mean(chance)


def test_copies_add_nothing() -> None:
    rows = rows_of(1, 60, 5)
    doubled = torch.cat([rows, rows])
    once = {tuple(rows[i].tolist()) for i in greedy_k_centre(rows, 20, 4)}
    twice = {tuple(doubled[i].tolist()) for i in greedy_k_centre(doubled, 20, 4)}
    assert once == twice


def test_identical_rows_need_one_centre() -> None:
    assert greedy_k_centre(torch.ones(30, 4), 10, 3).tolist() == [3]


@pytest.mark.parametrize(("n", "width", "target"), [(200, 1536, 130), (78_400, 152, 152), (500, 256, 153)])
def test_projection_has_the_dimension_of_the_lemma(n: int, width: int, target: int) -> None:
    rows = torch.zeros(1, width).expand(n, width)
    assert projected(rows, torch.Generator().manual_seed(0)).shape == (n, target)


def test_projection_keeps_distances_roughly() -> None:
    rows = torch.randn(200, 1536, generator=torch.Generator().manual_seed(1))
    before, after = torch.pdist(rows), torch.pdist(projected(rows, torch.Generator().manual_seed(0)))
    ratio = after / before
    assert abs(float(ratio.mean()) - 1) < 0.1
    assert float(ratio.std()) < 0.15


def test_no_projection_where_it_saves_nothing() -> None:
    rows = rows_of(0, 100, 8)
    assert projected(rows, torch.Generator().manual_seed(0)) is rows
