"""Pixels of many maps as step functions: three engines behind one call.

| engine | passes over the maps | memory beside the maps | result |
|---|---|---|---|
| `sort` | 1 | every pixel once, 64 bytes per defect pixel | exact |
| `anchored` | 2 | 64 bytes per defect pixel, a few chunks | exact |
| `histogram` | 1 | 512 bytes per bin, a few chunks | exact where a bin is one score, else a certified interval |

`sort` keeps all pixels in sorted chunks until the scores of all defect pixels are known; `anchored` keeps the defect pixels alone
and reads the maps again to count the others against them; `histogram` keeps counts per bin. The first two give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, OverBudget
from flawsmith.metrics.anchored import BYTES_PER_DEFECT_PIXEL, Anchors, DefectPixels
from flawsmith.metrics.chunks import Chunks, Crew, chunk_pixels, default_workers
from flawsmith.metrics.counting import MOST_SORTED, Counted, Counts, Plan, size_text
from flawsmith.metrics.histogram import BYTES_PER_BIN, BYTES_PER_FILLED_BIN, FEWEST_BINS, MOST_BINS, Bins, Histogram, tied_steps
from flawsmith.metrics.overlap import region_sizes
from flawsmith.metrics.refinement import MOST_READINGS, defects_within, pixels_within, split, worth_splitting
from flawsmith.metrics.steps import Scores1D, Steps
from flawsmith.metrics.testset import CheckedImage, CheckedSet, Maps


@dataclass(eq=False)
class _Group:
    """What is kept of a group of images."""

    counts: Counts = field(default_factory=Counts)
    defects: list[DefectPixels] = field(default_factory=list)
    waiting: int = 0
    sorted: list[Scores1D] = field(default_factory=list)
    histogram: Histogram | None = None
    chunks: Chunks | None = None


class Tally:
    """Counts pixels of groups of images: `see` every image once, then `finish`.

    Args:
        plan: engine, memory, workers.
        questions: groups that are asked for together; a step function is made for each. Groups are numbered from 0, every defect
            pixel of a question comes from one of its groups.
        group_of: group of each image; None: all are of group 0.
        known_pixels: pixels of all images, where that is known in advance.
        again: whether the maps can be read a second time.
    """

    def __init__(
        self,
        plan: Plan,
        questions: Sequence[Sequence[int]] = ((0,),),
        group_of: Sequence[int] | None = None,
        *,
        known_pixels: int | None = None,
        again: bool = True,
    ) -> None:
        self.plan, self.questions, self.group_of, self.again = plan, questions, group_of, again
        self.groups = [_Group() for _ in range(1 + max((max(each) for each in questions), default=0))]
        self.workers = plan.workers or default_workers()
        self.crew = Crew(self.workers)
        self.chunk = plan.chunk or chunk_pixels(plan.memory, self._buffers())
        self.item = 4
        self.blind = False
        self.engine = "sort" if plan.engine == "auto" else plan.engine
        if self.engine == "anchored" and not again:
            raise BadParameter("engine is anchored, which reads the maps twice; expected sort or histogram for what is read once")
        if self.engine == "sort" and known_pixels is not None and plan.engine == "auto":
            self._leave_sort(known_pixels, hits=0)
        self._open_chunks()

    def see(self, i: int, image: CheckedImage) -> None:
        """Count image i, if its pixels count."""
        if not image.usable:
            return
        group = self.groups[self._number(i)]
        self.item = max(self.item, 4 if np.can_cast(image.values.dtype, np.float32) else 8)
        found = None if image.mask is None else _defects(image.values, image.mask, self.plan.connectivity)
        group.counts += Counts(
            1, int(not image.label), image.values.size, image.defect_pixels, 0 if found is None else int(found[1])
        )
        self._choose()
        if not self.blind:
            self._keep(group, image.values, None if found is None else found[0])

    def finish(self, data: CheckedSet | None, dtype: np.dtype[Any]) -> list[Counted]:
        """The step function of every question; reads the maps again where the engine needs it.

        Args:
            data: where maps can be read again; None: nowhere.
            dtype: type in which maps are compared.

        Raises:
            DataError: a map or mask is not the same as it was (E_CHANGED).
        """
        self._flush()
        counts = [sum((self.groups[g].counts for g in groups), Counts()) for groups in self.questions]
        if all(each.hits in (0, each.pixels) for each in counts):
            return [Counted(_no_steps(each), None, f"{self.engine} (exact)", each) for each in counts]
        if self.engine == "histogram":
            if self.blind and data is not None:
                self._fill_again(data)
            return [self._binned(data, groups, each) for groups, each in zip(self.questions, counts, strict=True)]
        anchors = [Anchors([d for g in groups for d in self.groups[g].defects], dtype) for groups in self.questions]
        for group in self.groups:
            group.defects = []
        if self.engine == "anchored" and data is not None:
            self._count_again(data, anchors)
        else:
            for number, group in enumerate(self.groups):
                for chunk in group.sorted:
                    for each in self._asking(number, anchors):
                        self.crew.do(each.count, chunk)
        self.crew.wait()
        return [Counted(a.steps(), None, f"{self.engine} (exact)", each) for a, each in zip(anchors, counts, strict=True)]

    def __enter__(self) -> Tally:
        return self

    def __exit__(self, *error: Any) -> None:
        self.crew.__exit__(*error)

    def _number(self, i: int) -> int:
        return 0 if self.group_of is None else self.group_of[i]

    # --- which engine

    def _choose(self) -> None:
        total = sum((group.counts for group in self.groups), Counts())
        if self.engine == "sort":
            self._leave_sort(total.pixels, total.hits)
        if self.engine == "anchored":
            self._leave_anchored(total)
        if self.engine == "histogram" and self._bins_in_memory() < FEWEST_BINS:
            self._refuse(total.pixels, FEWEST_BINS * len(self.groups) * BYTES_PER_BIN)

    def _leave_sort(self, pixels: int, hits: int) -> None:
        auto, need = self.plan.engine == "auto", pixels * self.item + hits * BYTES_PER_DEFECT_PIXEL
        if auto and not self.again:  # there must be room for the histogram that comes next
            need += self._most_bins() * len(self.groups) * BYTES_PER_FILLED_BIN
        if need > self.plan.memory and not auto:
            self._refuse(pixels, need)
        if need > self.plan.memory or (auto and self.again and pixels > MOST_SORTED):
            self._flush()
            self.engine = "anchored" if self.again else "histogram"
            self._recount()

    def _leave_anchored(self, total: Counts) -> None:
        need = total.hits * BYTES_PER_DEFECT_PIXEL + self._buffers() * self.chunk * self.item
        if need > self.plan.memory:
            if self.plan.engine != "auto":
                self._refuse(total.pixels, need)
            self.engine, self.blind = "histogram", True
            for group in self.groups:
                group.defects = []

    def _recount(self) -> None:
        """Drop what `sort` has kept, or put it into bins where it cannot be read again."""
        self._open_chunks()
        for group in self.groups:
            kept, group.sorted = group.sorted, []
            if group.histogram is not None:
                while kept:
                    self.crew.do(group.histogram.add_pixels, kept.pop())
                self._bin_defects(group)

    def _refuse(self, pixels: int, need: int) -> None:
        remedy = "raise memory=" if self.plan.engine == "auto" else "raise memory=, or leave engine= at auto"
        raise OverBudget(
            f"pixel metrics of {pixels:,} pixels and more need {size_text(need)} of memory with engine {self.engine}, and the "
            f"budget is {size_text(self.plan.memory)}; {remedy}"
        )

    def _bins_in_memory(self) -> int:
        return self.plan.memory // BYTES_PER_BIN // len(self.groups)

    def _most_bins(self) -> int:
        return self.plan.bins or max(1, min(MOST_BINS, self._bins_in_memory()))

    def _buffers(self) -> int:
        """Chunks that exist at a time: worked on, waiting, and being filled."""
        return self.workers + 1 + len(self.groups)

    # --- first pass

    def _open_chunks(self) -> None:
        for group in self.groups:
            if self.engine == "histogram" and group.histogram is None:
                group.histogram = Histogram(self._most_bins())
            group.chunks = Chunks(self.chunk, self._hand_on(group))

    def _hand_on(self, group: _Group) -> Callable[[Scores1D], None]:
        def hand_on(chunk: Scores1D) -> None:
            if group.histogram is not None:
                self.crew.do(group.histogram.add_pixels, chunk)
            elif self.engine == "sort":
                group.sorted.append(chunk)
                self.crew.do(chunk.sort)

        return hand_on

    def _keep(self, group: _Group, values: NDArray[Any], defects: DefectPixels | None) -> None:
        if defects is not None:
            group.defects.append(defects)
            group.waiting += len(defects.scores)
        if group.histogram is not None and group.waiting >= self.chunk:
            self._bin_defects(group)
        if self.engine != "anchored" and group.chunks is not None:
            group.chunks.add(values)

    def _bin_defects(self, group: _Group) -> None:
        if group.histogram is not None and group.defects:
            self.crew.do(group.histogram.add_defects, _together(group.defects))
            group.defects, group.waiting = [], 0

    def _flush(self) -> None:
        for group in self.groups:
            if group.chunks is not None:
                group.chunks.flush()
            self._bin_defects(group)
        self.crew.wait()

    # --- second pass

    def _count_again(self, data: CheckedSet, anchors: Sequence[Anchors]) -> None:
        chunk = self._second_chunk(anchors)
        readers = [Chunks(chunk, self._sort_and_count(self._asking(g, anchors))) for g in range(len(self.groups))]
        for i, values in self._read_again(data):
            readers[self._number(i)].add(values)
        for reader in readers:
            reader.flush()

    def _sort_and_count(self, asking: Sequence[Anchors]) -> Callable[[Scores1D], None]:
        def work(chunk: Scores1D) -> None:
            chunk.sort()
            for each in asking:
                each.count(chunk)

        return lambda chunk: self.crew.do(work, chunk)

    def _second_chunk(self, anchors: Sequence[Anchors]) -> int:
        """Twice as many pixels as there are anchors, or what memory leaves: every chunk costs a walk over the anchors."""
        spare = self.plan.memory - sum(each.positives for each in anchors) * BYTES_PER_DEFECT_PIXEL
        most = max(self.chunk, spare // (self._buffers() * self.item))
        return self.plan.chunk or int(min(max(self.chunk, 2 * max(len(each.scores) for each in anchors)), most))

    def _asking(self, number: int, anchors: Sequence[Anchors]) -> list[Anchors]:
        return [each for each, groups in zip(anchors, self.questions, strict=True) if number in groups]

    def _fill_again(self, data: CheckedSet) -> None:
        self.blind = False
        self._open_chunks()
        for i, values in self._read_again(data):
            mask = data.mask(i)
            found = None if mask is None else _defects(values, mask, self.plan.connectivity)[0]
            self._keep(self.groups[self._number(i)], values, found)
        self._flush()

    def _read_again(self, data: CheckedSet, groups: Sequence[int] | None = None) -> Iterable[tuple[int, NDArray[Any]]]:
        for i in np.flatnonzero(data.usable).tolist():
            if groups is not None and self._number(i) not in groups:
                continue
            yield i, data.map_as_given(i)

    def _binned(self, data: CheckedSet | None, groups: Sequence[int], counts: Counts) -> Counted:
        histograms = [each for g in groups if (each := self.groups[g].histogram) is not None]
        together = Histogram(max(each.most for each in histograms))
        for each in histograms:
            together.merge(each)
        bins = together.bins
        if data is not None and counts.hits and counts.hits < counts.pixels:
            bins = self._narrow(data, groups, bins, together.most)
        steps, mixed = tied_steps(bins)
        return Counted(steps, mixed, f"histogram ({'certified interval' if mixed.any() else 'exact'})", counts)

    def _narrow(self, data: CheckedSet, groups: Sequence[int], bins: Bins, most: int) -> Bins:
        """Split bins until no interval is wider than the tolerance; what stays is halved with every reading."""
        fresh, tolerance = np.ones(len(bins), bool), self.plan.tolerance
        for reading in range(1, 1 + (MOST_READINGS if tolerance < 1 else 0)):
            chosen = worth_splitting(bins, fresh, self.plan.fpr_limit, tolerance * (1 - 0.5**reading), most)
            if not chosen.any():
                break
            finer = self._look_closer(data, groups, bins.chosen(chosen), most)
            bins, fresh = split(bins, chosen, finer)
        return bins

    def _look_closer(self, data: CheckedSet, groups: Sequence[int], chosen: Bins, most: int) -> Bins:
        finer = Histogram(most)

        def take(chunk: Scores1D) -> None:
            chunk.sort()
            finer.add_pixels(pixels_within(chunk, chosen))

        reader = Chunks(self.chunk, lambda chunk: self.crew.do(take, chunk))
        waiting: list[DefectPixels] = []
        for i, values in self._read_again(data, groups):
            reader.add(values)
            if (mask := data.mask(i)) is not None:
                waiting.append(defects_within(_defects(values, mask, self.plan.connectivity)[0], chosen))
            if sum(len(each.scores) for each in waiting) >= self.chunk:
                finer.add_defects(_together(waiting))
                waiting = []
        reader.flush()
        if waiting:
            finer.add_defects(_together(waiting))
        self.crew.wait()
        return finer.bins


def pixels_in_advance(maps: Maps) -> int | None:
    """Pixels of maps that are arrays already; None where that takes reading them."""
    if isinstance(maps, np.ndarray):
        return int(maps.size)
    if isinstance(maps, (list, tuple)) and all(isinstance(each, np.ndarray) for each in maps):
        return sum(int(each.size) for each in maps)
    return None


def _defects(values: NDArray[Any], mask: NDArray[np.bool_], connectivity: int) -> tuple[DefectPixels, int]:
    sizes, regions = region_sizes(mask, connectivity)
    return DefectPixels(values[mask], sizes.astype(np.uint32)), regions


def _together(defects: Sequence[DefectPixels]) -> DefectPixels:
    return DefectPixels(np.concatenate([d.scores for d in defects]), np.concatenate([d.sizes for d in defects]))


def _no_steps(counts: Counts) -> Steps:
    """Of one class alone: no metric is defined."""
    nothing = np.zeros(0, np.int64)
    return Steps(
        nothing.astype(np.float64),
        nothing,
        nothing.astype(np.float64),
        nothing,
        nothing,
        counts.hits,
        counts.pixels - counts.hits,
    )
