import errno
import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest

from flawsmith.core.errors import OutputError
from flawsmith.inspection.spool import Spool


def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(3, 5), (7, 2), (1, 1), (16, 16)]
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes] + [rng.random((5, 3)) > 0.5, np.arange(9)[::2]]


def filled(budget: int) -> Spool:
    spool = Spool(budget)
    assert [spool.put(array) for array in arrays()] == list(range(6))
    return spool


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; their names are kept, as on systems that cannot open a file without one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("budget", [0, 100, 10**6])
def test_arrays_come_back_bit_for_bit_whatever_the_budget(budget: int) -> None:
    spool = filled(budget)
    assert spool.spooled == (budget < 10**6)
    for number in (5, 0, 3, 4, 1, 2, 0):
        back, put = spool[number], arrays()[number]
        assert (back.dtype, back.shape) == (put.dtype, put.shape)
        assert back.tobytes() == np.ascontiguousarray(put).tobytes()


def test_what_is_spooled_cannot_be_changed_and_outlives_the_spool() -> None:
    spool = filled(0)
    first = spool[0]
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1
    spool.close()
    del spool
    gc.collect()
    np.testing.assert_array_equal(first, arrays()[0])


def test_nothing_is_put_once_something_was_read() -> None:
    spool = filled(0)
    assert len(spool) == 6
    spool[0]
    with pytest.raises(ValueError, match="read already"):
        spool.put(np.zeros(3))


def test_no_file_is_left_whether_it_ends_well_or_not(temporary: Path) -> None:
    with Spool(0) as spool:
        spool.put(np.ones(1000))
        assert float(spool[0].sum()) == 1000
    del spool
    gc.collect()
    assert list(temporary.iterdir()) == []

    def fails() -> None:
        with Spool(0) as broken:
            broken.put(np.ones(1000))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert list(temporary.iterdir()) == []


def test_a_full_folder_is_one_clear_error(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def tell(self) -> int:
            return 0

        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(OutputError, match=r"is full after 0\.0 GB of anomaly maps; set TMPDIR"):
        Spool(0).put(np.ones(3))


def test_a_folder_that_is_not_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match="no temporary file can be written"):
        Spool(0).put(np.ones(3))


def test_many_arrays_take_one_open_file() -> None:
    spool = Spool(0)
    for number in range(3000):
        spool.put(np.full((2, 2), number))
    assert all(int(spool[number][0, 0]) == number for number in range(3000))
