"""The three engines against each other and against scikit-learn."""

import json
import math
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from flawsmith.core.errors import BadParameter, DataError, OverBudget, UnknownName
from flawsmith.metrics import per_defect, score_maps, score_stream
from flawsmith.metrics.counting import Counted, Plan, size_text
from flawsmith.metrics.overlap import overlap_area
from flawsmith.metrics.pixels import Tally
from flawsmith.metrics.ranking import best_f1, roc_area, step_precision
from flawsmith.metrics.steps import Steps
from flawsmith.metrics.testset import check_set

ENGINES = ("sort", "anchored", "histogram")
PIXEL = ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_aupro")
COMPUTES: dict[str, Callable[[Steps], float]] = {
    "auroc": roc_area,
    "ap": step_precision,
    "f1max": lambda steps: best_f1(steps)[0],
    "aupro": lambda steps: overlap_area(steps, 0.3),
    "whole": lambda steps: overlap_area(steps, 1.0),
}
Case = tuple[list[NDArray[Any]], list[NDArray[np.bool_]], list[int]]

SPECIAL = [0.0, -0.0, 1.4e-45, -1.4e-45, 1e-40, 1.0, -1.0, 0.5, 3e38, -3e38, 1e6, 1e6 + 0.0625, 1e6 + 0.125]


def count(case: Case, engine: str, order: Sequence[int] | None = None, **plan: Any) -> Counted:
    maps, masks, labels = case
    chosen = range(len(maps)) if order is None else order
    with Tally(Plan(engine, **{"workers": 1, "tolerance": 1.0, **plan})) as tally:
        data = check_set([maps[i] for i in chosen], [masks[i] for i in chosen], [labels[i] for i in chosen], see=tally.see)
        return tally.finish(data, data.dtype)[0]


def values(steps: Steps) -> list[float]:
    return [] if steps.reason else [compute(steps) for compute in COMPUTES.values()]


@st.composite
def sets(draw: st.DrawFn) -> Case:
    """Small sets, one-class ones among them; scores from few or many values, special ones, of any type."""
    kind = draw(st.sampled_from([np.float32, np.float32, np.float64, np.float16, np.uint8]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    offset = draw(st.sampled_from([0.0, 0.0, 1e6])) if kind in (np.float32, np.float64) else 0.0
    levels = draw(st.sampled_from([1, 3, 50, 10**9]))
    maps, masks, labels = [], [], []
    for _ in range(draw(st.integers(1, 6))):
        shape = (int(rng.integers(1, 9)), int(rng.integers(1, 9)))
        mask = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))
        found = np.round(rng.standard_normal(shape) * levels) / levels + mask + offset
        if offset == 0 and kind in (np.float32, np.float64) and draw(st.booleans()):
            found = np.where(rng.random(shape) < 0.4, rng.choice(SPECIAL, shape), found)
        maps.append(found.clip(0, 255).astype(kind) if kind == np.uint8 else found.astype(kind))
        masks.append(mask)
        labels.append(int(mask.any() or draw(st.booleans())))
    return maps, masks, labels


@settings(max_examples=200, deadline=None)
@given(sets(), st.integers(1, 3), st.integers(1, 40), st.randoms(use_true_random=False))
def test_sort_and_anchored_agree_in_every_bit_and_with_scikit_learn(case: Case, workers: int, chunk: int, random: Any) -> None:
    order = list(range(len(case[0])))
    random.shuffle(order)
    first = count(case, "sort")
    for engine, plan in (("sort", {"chunk": chunk}), ("anchored", {}), ("anchored", {"chunk": chunk})):
        other = count(case, engine, order, workers=workers, **plan)
        assert other.counts == first.counts
        for name in ("thresholds", "hits", "mass", "above", "reached", "positives", "negatives"):
            assert np.array_equal(getattr(first.steps, name), getattr(other.steps, name)), name
        assert values(first.steps) == values(other.steps)
    maps, masks, labels = case
    used = [i for i in order if not labels[i] or masks[i].any()]
    if first.steps.reason is None:
        truth = np.concatenate([masks[i].ravel() for i in used])
        scores = np.concatenate([maps[i].ravel() for i in used]).astype(np.float64)
        assert roc_area(first.steps) == pytest.approx(roc_auc_score(truth, scores), abs=1e-9)
        assert step_precision(first.steps) == pytest.approx(average_precision_score(truth, scores), abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(sets(), st.integers(1, 30), st.integers(1, 3), st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_exact_value_lies_in_the_interval_of_the_histogram(
    case: Case, bins: int, workers: int, chunk: int, random: Any
) -> None:
    order = list(range(len(case[0])))
    random.shuffle(order)
    exact, found = count(case, "sort"), count(case, "histogram", bins=bins)
    again = count(case, "histogram", order, bins=bins, workers=workers, chunk=chunk)
    assert found.counts == exact.counts
    assert values(found.steps) == values(again.steps)
    if exact.steps.reason is not None:
        assert found.steps.reason == exact.steps.reason
        return
    for name, compute in COMPUTES.items():
        bounds = found.bounds(compute)
        assert bounds is not None
        assert bounds == again.bounds(compute)
        assert bounds[0] <= compute(exact.steps) <= bounds[1], name
        assert bounds[0] <= compute(found.steps) <= bounds[1], name


@settings(max_examples=100, deadline=None)
@given(sets())
def test_a_histogram_of_single_scores_is_exact_in_every_bit(case: Case) -> None:
    exact, found = count(case, "sort"), count(case, "histogram")
    if case[0][0].dtype == np.float64 or exact.steps.reason is not None:
        return
    assert found.engine == "histogram (exact)"
    assert values(found.steps) == values(exact.steps)
    for compute in COMPUTES.values():
        assert found.bounds(compute) == (compute(exact.steps), compute(exact.steps))


MASK = np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 1], [0] * 6, [0] * 6], bool)
SCORE = np.array([[9, 1, 1, 2, 1, 3], [2, 6, 5, 1, 8, 5], [1, 3, 4, 2, 6, 1], [0, 1, 2, 7, 1, 0]], np.float32)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("connectivity", "limit", "expected"),
    [(8, 0.3, Fraction(5, 6)), (8, 1.0, Fraction(19, 20)), (4, 0.3, Fraction(61, 72)), (4, 1.0, Fraction(229, 240))],
)
def test_golden_fractions_of_the_overlap(engine: str, connectivity: int, limit: float, expected: Fraction) -> None:
    found = score_maps([SCORE], [MASK], connectivity=connectivity, fpr_limit=limit, engine=engine, resamples=0)
    assert found["pixel_aupro"].value == pytest.approx(float(expected), abs=1e-12)
    assert found["pixel_auroc"].value == pytest.approx(0.95, abs=1e-12)
    assert found["pixel_ap"].value == pytest.approx(float(Fraction(111, 140)), abs=1e-12)
    assert found["pixel_f1max"].value == pytest.approx(8 / 11, abs=1e-12)
    assert found.thresholds["pixel_f1max"] == 5


@pytest.mark.parametrize("engine", ENGINES)
def test_golden_values_of_the_ranking(engine: str) -> None:
    scores, mask = np.array([[0.1, 0.4, 0.4, 0.35, 0.8]], np.float32), np.array([[0, 0, 1, 1, 1]], bool)
    found = score_maps([scores], [mask], engine=engine, resamples=0)
    expected = [Fraction(3, 4), Fraction(29, 36), Fraction(6, 7)]
    assert [found[key].value for key in PIXEL[:3]] == pytest.approx([float(each) for each in expected], abs=1e-12)
    assert found.thresholds["pixel_f1max"] == np.float32(0.35)


@dataclass
class Files:
    """A sequence that reads a file whenever an item is asked for, and remembers how often."""

    folder: Path
    names: list[str]
    read: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: Any) -> NDArray[Any]:
        self.read.append(self.names[i])
        array: NDArray[Any] = np.load(self.folder / self.names[i])
        return array


@pytest.fixture
def case() -> Case:
    rng = np.random.default_rng(7)
    masks = [np.zeros((40, 50), bool) for _ in range(8)]
    for i in range(3, 8):
        masks[i][5 : 10 + i, 7:20] = True
        masks[i][30:35, 40 : 40 + i] = True
    maps = [(rng.standard_normal(m.shape) + 1.3 * m).astype(np.float32) for m in masks]
    return maps, masks, [int(m.any()) for m in masks]


def files(folder: Path, arrays: Sequence[NDArray[Any]], kind: str) -> Files:
    names = [f"{kind}-{i}.npy" for i in range(len(arrays))]
    for name, array in zip(names, arrays, strict=True):
        np.save(folder / name, array)
    return Files(folder, names, [])


@pytest.mark.parametrize(("engine", "readings"), [("sort", 1), ("anchored", 2), ("histogram", 1)])
def test_maps_are_read_from_files_as_often_as_the_engine_says_and_masks_once(
    case: Case, tmp_path: Path, engine: str, readings: int
) -> None:
    maps, masks, labels = case
    lazy_maps, lazy_masks = files(tmp_path, maps, "map"), files(tmp_path, masks, "mask")
    found = score_maps(lazy_maps, lazy_masks, labels, engine=engine, resamples=0)  # type: ignore[arg-type]
    assert [lazy_maps.read.count(name) for name in lazy_maps.names] == [readings] * 8
    assert [lazy_masks.read.count(name) for name in lazy_masks.names] == [1] * 8
    expected = score_maps(maps, masks, labels, resamples=0)
    assert [found[key].value for key in found] == [expected[key].value for key in expected]


def test_a_histogram_reads_every_map_once_and_once_more_for_each_split(case: Case, tmp_path: Path) -> None:
    maps, masks = files(tmp_path, case[0], "map"), files(tmp_path, case[1], "mask")
    readings = {}
    for tolerance in (1, 1e-4):
        maps.read.clear(), masks.read.clear()
        score_maps(maps, masks, case[2], engine="histogram", memory=512 * 1024, tolerance=tolerance, resamples=0)  # type: ignore[arg-type]
        readings[tolerance] = {maps.read.count(name) for name in maps.names}
        assert {masks.read.count(name) for name in masks.names[3:]} == readings[tolerance]
    assert readings[1] == {1}
    assert readings[1e-4] <= {2, 3, 4, 5}
    assert len(readings[1e-4]) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_maps_may_be_memory_maps(case: Case, tmp_path: Path, engine: str) -> None:
    stack = np.lib.format.open_memmap(tmp_path / "maps.npy", mode="w+", dtype=np.float16, shape=(8, 40, 50))
    stack[:] = case[0]
    stack.flush()
    found = score_maps(np.load(tmp_path / "maps.npy", mmap_mode="r"), np.stack(case[1]), engine=engine, resamples=0)
    expected = score_maps([m.astype(np.float16) for m in case[0]], case[1], resamples=0)
    assert [found[key].value for key in PIXEL] == [expected[key].value for key in PIXEL]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.float16, np.uint8, np.uint16])
def test_maps_of_8_and_16_bits_are_exact_under_every_engine(case: Case, engine: str, dtype: type) -> None:
    maps = [((m + 5) * (10 if dtype == np.uint8 else 1000 if dtype == np.uint16 else 1)).astype(dtype) for m in case[0]]
    found = score_maps(maps, case[1], engine=engine, resamples=0)
    expected = score_maps([m.astype(np.float64) for m in maps], case[1], engine="sort", resamples=0)
    assert found["pixel_ap"].record.engine == f"{engine} (exact)"
    for key in PIXEL:
        assert found[key].value == expected[key].value
        assert found[key].bounds in (None, (expected[key].value, expected[key].value))


@settings(max_examples=60, deadline=None)
@given(sets(), st.integers(8, 30), st.sampled_from([1e-4, 1e-2, 0.2]), st.integers(1, 3), st.randoms(use_true_random=False))
def test_bins_are_split_until_the_intervals_are_narrow_enough(
    case: Case, bins: int, tolerance: float, workers: int, random: Any
) -> None:
    order = list(range(len(case[0])))
    random.shuffle(order)
    exact, wide = count(case, "sort"), count(case, "histogram", bins=bins)
    found = count(case, "histogram", order, bins=bins, workers=workers, chunk=7, tolerance=tolerance)
    same = count(case, "histogram", bins=bins, tolerance=tolerance)
    assert values(found.steps) == values(same.steps)
    if exact.steps.reason is not None:
        return
    for name in ("auroc", "ap", "f1max", "aupro"):
        compute = COMPUTES[name]
        (low, high), (first, last) = found.bounds(compute) or (1, 0), wide.bounds(compute) or (1, 0)
        assert low <= compute(exact.steps) <= high
        assert high - low <= last - first + 1e-9


def test_a_tolerance_is_kept_where_the_first_histogram_misses_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((300, 300), bool)
    mask[50:120, 60:200] = True
    narrow = (1 + 1e-4 * (rng.standard_normal(mask.shape) + mask)).astype(np.float32)
    outliers = np.float32(10.0) ** rng.integers(-30, 30, mask.shape).astype(np.float32) * rng.random(mask.shape, np.float32)
    case = ([narrow, outliers], [mask, np.zeros_like(mask)], [1, 0])
    exact = count(case, "sort")
    wide = count(case, "histogram", bins=2000)
    found = count(case, "histogram", bins=2000, tolerance=1e-3)
    for name in ("auroc", "ap", "f1max", "aupro"):
        (low, high), (first, last) = found.bounds(COMPUTES[name]) or (1, 0), wide.bounds(COMPUTES[name]) or (1, 0)
        assert low <= COMPUTES[name](exact.steps) <= high
        assert high - low < 1e-3 + 1e-9
        assert last - first > 0.05
    maps = files(tmp_path, case[0], "map")
    score_maps(maps, case[1], engine="histogram", memory=512 * 2000, resamples=0)  # type: ignore[arg-type]
    assert len(maps.read) > 2
    maps.read.clear()
    score_maps(maps, case[1], engine="histogram", memory=512 * 2000, tolerance=1, resamples=0)  # type: ignore[arg-type]
    assert len(maps.read) == 2


def test_bins_are_split_where_f1_alone_is_uncertain() -> None:
    # 9,900 of 10,000 positives are told apart; the bin of the others holds 50 of a million negatives, which is nothing but to F1.
    rng = np.random.default_rng(0)
    mask = np.arange(1_010_000).reshape(1000, 1010) < 10_000
    scores = np.where(mask, np.float32(2), np.float32(0)).ravel()
    scores[9_900:10_050] = 1 + rng.permutation(150).astype(np.float32) * 2**-20
    case = ([scores.reshape(mask.shape)], [mask], [1])
    exact, wide = count(case, "sort"), count(case, "histogram", bins=3)
    found = count(case, "histogram", bins=3, tolerance=1e-3)

    def width(counted: Counted, name: str) -> float:
        low, high = counted.bounds(COMPUTES[name]) or (1, 0)
        assert low <= COMPUTES[name](exact.steps) <= high
        return high - low

    assert max(width(wide, name) for name in ("auroc", "ap", "aupro")) < 1e-4
    assert width(wide, "f1max") > 2e-3
    assert width(found, "f1max") < 1e-3


def test_float64_maps_get_an_interval_that_knows_of_the_rounding(case: Case) -> None:
    rng = np.random.default_rng(1)
    maps = [1 + 1e-9 * rng.standard_normal(m.shape) + 1e-9 * m for m in case[1]]
    exact, found = score_maps(maps, case[1], resamples=0), score_maps(maps, case[1], engine="histogram", resamples=0)
    assert found["pixel_auroc"].record.engine == "histogram (certified interval)"
    for key in PIXEL:
        low, high = found[key].bounds or (math.nan, math.nan)
        assert low < exact[key].value < high
    huge = [np.where(mask, 1e300, -1e300) for mask in case[1]]
    assert score_maps(huge, case[1], engine="histogram", resamples=0)["pixel_auroc"].value == 1.0


@settings(max_examples=100, deadline=None)
@given(sets(), st.integers(1, 30), st.sampled_from([1.0, 1e-4]), st.sampled_from(ENGINES))
def test_f1_is_what_its_threshold_gives(case: Case, bins: int, tolerance: float, engine: str) -> None:
    maps, masks, labels = case
    found = count(case, engine, bins=bins, tolerance=tolerance)
    if found.steps.reason is not None:
        return
    value, threshold = best_f1(found.steps)
    used = [i for i in range(len(maps)) if not labels[i] or masks[i].any()]
    reached = sum(int(np.count_nonzero(maps[i] >= threshold)) for i in used)
    hits = sum(int(np.count_nonzero((maps[i] >= threshold) & masks[i])) for i in used)
    assert value == 2 * hits / (reached + found.steps.positives)


def test_f1_of_rounded_scores_is_what_its_threshold_gives() -> None:
    rng = np.random.default_rng(0)
    for offset in (0.0, 1e39, -1e39):
        mask = rng.random((20, 20)) < 0.2
        scores = rng.random(mask.shape) + mask * 0.5 + offset
        found = score_maps([scores], [mask], engine="histogram", tolerance=1, resamples=0)
        reached = scores >= found.thresholds["pixel_f1max"]
        assert found["pixel_f1max"].value == 2 * (reached & mask).sum() / (reached.sum() + mask.sum())
        assert json.dumps(found.to_json(), allow_nan=False)


def test_the_record_names_the_engine_and_two_engines_may_be_compared(case: Case) -> None:
    a, b, c = (score_maps(*case, engine=engine, resamples=0)["pixel_ap"] for engine in ENGINES)
    assert [v.record.engine for v in (a, b, c)] == ["sort (exact)", "anchored (exact)", "histogram (exact)"]
    assert a.record.differences(b.record) == a.record.differences(c.record) == ()
    assert a.bounds is b.bounds is None
    assert score_maps(*case, resamples=0)["image_ap"].record.engine is None


def test_curves_thresholds_and_prevalence_do_not_depend_on_the_engine(case: Case) -> None:
    a, b, c = (score_maps(*case, engine=engine, resamples=0) for engine in ENGINES)
    assert a.thresholds == b.thresholds == c.thresholds
    assert a.prevalence == b.prevalence == c.prevalence
    assert a.curves.keys() == b.curves.keys() == c.curves.keys()
    for name, (x, y) in a.curves.items():
        for other in (b, c):
            assert np.array_equal(x, other.curves[name][0])
            assert np.array_equal(y, other.curves[name][1])


DEFECTS = ["good", "good", "good", "crack", "crack", "pit", "pit", "pit"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("workers", [1, 3])
def test_every_engine_measures_each_defect(case: Case, engine: str, workers: int) -> None:
    maps, masks, _ = case
    rows = per_defect(maps, masks, DEFECTS, engine=engine, workers=workers)
    for name, row in rows.items():
        chosen = [i for i, each in enumerate(DEFECTS) if each in ("good", name)]
        alone = score_maps([maps[i] for i in chosen], [masks[i] for i in chosen], resamples=0)
        assert {key: v.value for key, v in row.items()} == {key: alone[key].value for key in row}
        assert row["pixel_aupro"].record.regions == alone["pixel_aupro"].record.regions


@pytest.mark.parametrize(("engine", "readings"), [("sort", 1), ("anchored", 2), ("histogram", 1)])
def test_defects_share_the_readings(case: Case, tmp_path: Path, engine: str, readings: int) -> None:
    lazy = files(tmp_path, case[0], "map")
    per_defect(lazy, case[1], DEFECTS, engine=engine)  # type: ignore[arg-type]
    assert [lazy.read.count(name) for name in lazy.names] == [readings] * 8


def test_auto_goes_from_sort_to_anchored_to_histogram_as_memory_shrinks(case: Case) -> None:
    maps, masks = case[0] * 200, case[1] * 200
    pixels = sum(m.size for m in maps)
    hits = sum(int(m.sum()) for m in masks)
    found = {
        memory: score_maps(maps, masks, memory=memory, workers=1, resamples=0)
        for memory in (2**30, 4 * pixels + 40 * hits, 24 * hits)
    }
    engines = [scores["pixel_ap"].record.engine for scores in found.values()]
    assert engines == ["sort (exact)", "anchored (exact)", "histogram (certified interval)"]
    exact, anchored, binned = found.values()
    for key in PIXEL:
        assert exact[key].value == anchored[key].value
        low, high = binned[key].bounds or (math.nan, math.nan)
        assert low <= exact[key].value <= high
        assert exact[key].record.regions == binned[key].record.regions


def test_an_engine_that_was_asked_for_is_not_replaced(case: Case) -> None:
    maps, masks = case[0] * 20, case[1] * 20
    for engine in ENGINES:
        with pytest.raises(
            OverBudget, match=rf"need .* [KM]iB of memory with engine {engine}, and the budget is 97.66 KiB; raise memory=, or"
        ):
            score_maps(maps, masks, engine=engine, memory=100_000)


def test_a_budget_that_holds_nothing_is_refused_in_units_that_say_something(case: Case) -> None:
    for run in (lambda: score_maps(*case, memory=1), lambda: score_stream(zip(*case, strict=True), memory=1)):
        with pytest.raises(
            OverBudget, match=r"need 512 KiB of memory with engine histogram, and the budget is 1 B; raise memory=$"
        ):
            run()
    told = {0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536 << 20: "1.5 GiB", 4 << 40: "4096 GiB"}
    assert {count: size_text(count) for count in told} == told


@pytest.mark.parametrize(
    ("images", "mebibytes", "engine"),
    [(100, 16, "anchored (exact)"), (100, 64, "sort (exact)"), (200, 12, "histogram (certified interval)")],
)
def test_memory_is_kept(images: int, mebibytes: int, engine: str) -> None:
    masks = np.zeros((images, 256, 256), bool)
    masks[images // 2 :, :51, :51] = True
    maps = np.random.default_rng(0).standard_normal(masks.shape, np.float32) + masks
    memory = mebibytes << 20
    options: dict[str, Any] = {"memory": memory, "workers": 1, "resamples": 0}
    runs = {
        engine: lambda: score_maps(maps, masks, **options),
        "stream": lambda: score_stream(zip(maps, masks, [None] * images, strict=True), **options),
    }
    for name, run in runs.items():
        tracemalloc.start()
        found = run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert name in ("stream", found["pixel_ap"].record.engine)
        assert peak < memory * 9 / 8 + (2 << 20)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_class_sets_say_why_there_is_no_number(case: Case, engine: str) -> None:
    maps, masks, _ = case
    normal = score_maps(maps[:3], masks[:3], engine=engine, resamples=0)
    assert {normal[key].reason for key in PIXEL} == {"no_positive"}
    assert normal["pixel_ap"].record.pixels == 3 * 2000
    full = score_maps(maps[:1], [np.ones_like(masks[0])], engine=engine, resamples=0)
    assert {full[key].reason for key in PIXEL} == {"no_negative"}
    empty = score_maps(maps, [np.zeros_like(m) for m in masks], case[2], engine=engine, resamples=0)
    assert {empty[key].reason for key in PIXEL} == {"no_positive"}
    assert empty["pixel_ap"].record.excluded == 5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_all_maps_that_are_not_finite_are_named_at_once(case: Case, engine: str, value: float) -> None:
    case[0][2][0, 0] = case[0][6][1, 1] = value
    with pytest.raises(DataError, match=r"the map of image 2 has 1 pixels that are NaN or infinite.*\(and 1 more\)") as error:
        score_maps(*case, engine=engine)
    assert error.value.files == ("image 2", "image 6")


class Unsteady:
    """Gives another array of item 5 at each reading, with the same smallest and largest value at every one."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self.arrays, self.rng = arrays, np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, i: int) -> NDArray[Any]:
        return self.rng.permutation(self.arrays[i], axis=1) if i == 5 else self.arrays[i]


def scaled(maps: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    return [(m - m.min()) / (m.max() - m.min()) for m in maps]


AGAIN = [
    {"engine": "anchored"},
    {"engine": "histogram", "memory": 512 * 1024},
    {"pixel_resamples": 10},
    {"pro": "uniform-200/max"},
    {"metrics": ["pixel_iou_oracle"]},
]


@pytest.mark.parametrize("again", AGAIN)
def test_a_map_that_changes_between_two_readings_is_refused(case: Case, again: dict[str, Any]) -> None:
    maps = Unsteady(scaled(case[0]))
    with pytest.raises(DataError, match="the map of image 5 differs from its first reading; expected the same map") as error:
        score_maps(maps, case[1], resamples=0, **again)  # type: ignore[arg-type]
    assert (error.value.code, error.value.files) == ("E_CHANGED", ("image 5",))
    assert score_maps(maps, case[1], resamples=0)["pixel_ap"].defined  # type: ignore[arg-type]


@pytest.mark.parametrize("again", AGAIN[1:])
def test_a_mask_that_changes_between_two_readings_is_refused(case: Case, again: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="the mask of image 5 differs from its first reading; expected the same mask") as error:
        score_maps(case[0], Unsteady(case[1]), resamples=0, **again)  # type: ignore[arg-type]
    assert error.value.code == "E_CHANGED"


def test_a_map_of_another_type_or_shape_at_its_second_reading_is_refused(case: Case) -> None:
    zeros = np.zeros((4, 6), np.float32)
    for other in (zeros.reshape(6, 4), zeros.view(np.int32)):
        maps = [zeros]
        checked = check_set(maps, labels=[0])
        assert checked.map(0) is zeros
        maps[0] = other
        with pytest.raises(DataError, match="the map of image 0 differs"):
            checked.map(0)


@pytest.mark.parametrize("engine", ENGINES)
def test_counts_are_exact_beyond_two_to_the_24(engine: str) -> None:
    normals = [np.zeros((4096, 4096), np.uint8), np.zeros((1, 3), np.uint8)]
    defect = np.array([[0, 1]], np.uint8)
    found = score_maps([*normals, defect], [None, None, np.ones((1, 2), bool)], [0, 0, 1], engine=engine, resamples=0)
    assert found["pixel_auroc"].record.pixels == 2**24 + 5
    assert found["pixel_auroc"].value == 0.75
    assert found["pixel_ap"].value == pytest.approx(0.5 + 0.5 * 2 / (2**24 + 5), abs=1e-15)


def test_defect_pixels_beyond_two_to_the_24_are_counted_and_weigh_one_region() -> None:
    mask = np.ones((4097, 4097), bool)
    mask[-1, -1] = False
    scores = np.zeros(mask.shape, np.uint8)
    scores[0, 0] = 1
    found = score_maps([scores], [mask], engine="anchored", resamples=0, fpr_limit=1.0)
    share = 1 / (4097**2 - 1)
    assert found["pixel_auroc"].value == found["pixel_aupro"].value == pytest.approx(0.5 + share / 2, abs=1e-15)


# Properties of the numbers (metrics-and-protocol.md, section 11)


@pytest.mark.parametrize("engine", ENGINES)
def test_increasing_transforms_change_no_bit_and_negation_mirrors(case: Case, engine: str) -> None:
    maps = [np.round(m * 16) for m in case[0]]
    before = score_maps(maps, case[1], engine=engine, resamples=0)
    for changed in ([m / 8 + 1e4 for m in maps], [m**3 for m in maps], [np.exp2(m / 4) for m in maps]):
        after = score_maps(changed, case[1], engine=engine, resamples=0)
        assert [after[key].value for key in PIXEL] == [before[key].value for key in PIXEL]
    mirrored = score_maps([-m for m in maps], case[1], engine=engine, resamples=0)
    assert mirrored["pixel_auroc"].value == pytest.approx(1 - before["pixel_auroc"].value, abs=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_constant_maps_are_chance_and_perfect_ones_are_one(case: Case, engine: str) -> None:
    constant = score_maps([np.full_like(m, 3) for m in case[0]], case[1], engine=engine, resamples=0)
    share = constant.prevalence["pixel"]
    expected = [0.5, share, 2 * share / (1 + share), 0.15]
    assert [constant[key].value for key in PIXEL] == pytest.approx(expected, abs=1e-12)
    perfect = score_maps([m.astype(np.float32) for m in case[1]], case[1], engine=engine, resamples=0)
    assert [perfect[key].value for key in PIXEL] == [1, 1, 1, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_copy_of_the_set_changes_nothing_and_low_normals_leave_f1_alone(case: Case, engine: str) -> None:
    before = score_maps(*case, engine=engine, resamples=0)
    twice = score_maps(*(part * 2 for part in case), engine=engine, resamples=0)  # type: ignore[arg-type]
    assert [twice[key].value for key in PIXEL] == pytest.approx([before[key].value for key in PIXEL], abs=1e-14)
    low = np.full((40, 50), -50, np.float32)
    more = score_maps([*case[0], low], [*case[1], np.zeros_like(case[1][0])], engine=engine, resamples=0)
    assert more["pixel_f1max"].value == before["pixel_f1max"].value
    assert more["pixel_auroc"].value > before["pixel_auroc"].value


@pytest.mark.parametrize("engine", ENGINES)
def test_a_random_map_of_a_million_pixels_is_chance(engine: str) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((1000, 1000), bool)
    for y, x in rng.integers(0, 990, (60, 2)):
        mask[y : y + 8, x : x + 8] = True
    found = score_maps([rng.standard_normal(mask.shape, np.float32)], [mask], engine=engine, resamples=0)
    assert found["pixel_aupro"].value == pytest.approx(0.15, abs=0.01)


# What is read only once


def test_a_stream_gives_the_numbers_of_the_lists(case: Case) -> None:
    expected = score_maps(*case)
    found = score_stream(zip(*case, strict=True))
    assert dict(found) == dict(expected)
    assert found.thresholds == expected.thresholds
    unlabelled = score_stream((m, mask, None) for m, mask in zip(case[0], case[1], strict=True))
    assert dict(unlabelled) == dict(expected)


def test_a_stream_that_outgrows_its_memory_ends_in_a_histogram(case: Case) -> None:
    maps, masks, labels = (part * 40 for part in case)
    exact = score_maps(maps, masks, labels, resamples=0)  # type: ignore[arg-type]
    memory = 4 * 40 * 8 * 2000 // 2
    runs = [
        score_stream(zip(maps[::step], masks[::step], labels[::step], strict=True), memory=memory, workers=workers, resamples=0)
        for step, workers in ((1, 1), (-1, 3))
    ]
    for key in PIXEL:
        low, high = runs[0][key].bounds or (math.nan, math.nan)
        assert low < exact[key].value < high
        assert high - low < 0.01
        assert runs[0][key] == runs[1][key]
    assert runs[0]["pixel_ap"].record.engine == "histogram (certified interval)"
    assert runs[0]["image_auroc"] == exact["image_auroc"]


def test_a_stream_that_cannot_be_is_refused(case: Case) -> None:
    with pytest.raises(BadParameter, match="there are no images"):
        score_stream(iter(()))
    with pytest.raises(BadParameter, match="engine is anchored, which reads the maps twice"):
        score_stream(zip(*case, strict=True), engine="anchored")
    with pytest.raises(DataError, match="the label of image 0 is 2"):
        score_stream([(case[0][0], None, 2)])
    with pytest.raises(BadParameter, match=r"image 1 has 2 items; expected \(map, mask, label\)"):
        score_stream([(case[0][0], None, 0), (case[0][1], case[1][1])])  # type: ignore[list-item]
    with pytest.raises(BadParameter, match=r"image 0 is a int; expected \(map, mask, label\)"):
        score_stream([3])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"the mask of image 4 is 2×2, its map 40×50"):
        score_stream((m, np.ones((2, 2)) if i == 4 else None, i > 3) for i, m in enumerate(case[0]))
    with pytest.raises(BadParameter, match="image 0 has neither a label nor a mask"):
        score_stream([(case[0][0], None, None)])
    with pytest.raises(BadParameter, match=r"no length.*score_stream"):
        score_maps((m for m in case[0]), case[1])  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"memory": 0}, {"workers": 0}, {"tolerance": 0}, {"tolerance": math.nan}])
def test_parameters_outside_their_range_are_refused(case: Case, change: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match="expected"):
        score_maps(*case, **change)


def test_an_unknown_engine_or_variant_is_told_the_nearest(case: Case) -> None:
    with pytest.raises(UnknownName, match=r"no engine 'histo'.*histogram"):
        score_maps(*case, engine="histo")
    with pytest.raises(UnknownName, match=r"no AUPRO variant 'mvtec3d'.*mvtec3d-100"):
        score_maps(*case, pro="mvtec3d")


@pytest.mark.parametrize("text", ["none", "²", "0", "-1", "2.5"])
def test_workers_come_from_the_environment(case: Case, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("FLAWSMITH_THREADS", text)
    with pytest.raises(BadParameter, match=f"FLAWSMITH_THREADS is '{text}'"):
        score_maps(*case)
    assert score_maps(*case, workers=2)["pixel_ap"].defined


def test_a_variant_of_aupro_is_named_in_the_record(case: Case) -> None:
    ours, whole = (score_maps(*case, pro=pro, resamples=0)["pixel_aupro"] for pro in ("mvtec", "full"))
    assert (whole.record.curve, whole.record.fpr_limit) == ("full", None)
    assert whole.value == pytest.approx(score_maps(*case, fpr_limit=1.0, resamples=0)["pixel_aupro"].value, abs=1e-12)
    assert set(ours.record.differences(whole.record)) == {"curve", "fpr_limit"}
