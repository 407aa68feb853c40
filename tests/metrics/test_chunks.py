import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from flawsmith.metrics.chunks import LARGEST_CHUNK, SMALLEST_CHUNK, Chunks, Crew, chunk_pixels
from flawsmith.metrics.curves import curves_of, fewer, thinned
from flawsmith.metrics.steps import steps_of


def test_chunks_hand_on_every_pixel_in_order_and_split_maps() -> None:
    taken: list[NDArray[np.floating]] = []
    chunks = Chunks(10, taken.append)
    for start in (0, 4, 30):
        chunks.add(np.arange(start, start + 26.0, dtype=np.float32).reshape(2, 13))
    chunks.flush()
    chunks.flush()
    assert [len(chunk) for chunk in taken] == [10] * 7 + [8]
    assert np.array_equal(np.concatenate(taken), np.concatenate([np.arange(s, s + 26) for s in (0, 4, 30)]))


def test_chunks_take_float64_only_where_float32_does_not_hold_a_type() -> None:
    taken: list[NDArray[np.floating]] = []
    chunks = Chunks(100, taken.append)
    for kind in (np.uint16, np.float16, np.bool_, np.float64, np.int32, np.float32):
        chunks.add(np.ones((2, 2), kind))
    chunks.flush()
    assert [(chunk.dtype, len(chunk)) for chunk in taken] == [(np.float32, 12), (np.float64, 8), (np.float32, 4)]


def test_the_size_of_chunks_follows_memory() -> None:
    assert chunk_pixels(1, 4) == SMALLEST_CHUNK
    assert chunk_pixels(2**40, 4) == LARGEST_CHUNK
    assert chunk_pixels(2**26, 4) * 4 * 8 <= 2**26 / 8


@pytest.mark.parametrize("workers", [1, 3])
def test_a_crew_does_everything_and_tells_what_failed(workers: int) -> None:
    done, lock = [], threading.Lock()

    def task(i: int) -> None:
        if i == 13:
            raise ValueError("thirteen")
        with lock:
            done.append(i)

    with Crew(workers) as crew:
        for i in range(13):
            crew.do(task, i)
        crew.wait()
        assert sorted(done) == list(range(13))
        with pytest.raises(ValueError, match="thirteen"):
            crew.do(task, 13)
            crew.wait()


def test_curves_of_many_thresholds_are_those_of_all_of_them_but_thinner() -> None:
    rng = np.random.default_rng(0)
    steps = steps_of(rng.standard_normal(50_000) + 1, [np.sort(rng.standard_normal(200_000))])
    few = fewer(steps, 5000)
    assert 2000 < len(few.hits) <= 5000
    assert (few.hits[-1], few.reached[-1]) == (steps.hits[-1], steps.reached[-1])
    x, y = steps.curve(steps.hits)
    for curve in (thinned(*few.curve(few.hits)), curves_of("image", steps)["image_roc"]):
        assert (curve[0][0], curve[1][0], curve[0][-1], curve[1][-1]) == (0, 0, 1, 1)
        assert np.abs(np.interp(curve[0], x, y) - curve[1]).max() < 2e-3
