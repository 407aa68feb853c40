"""Many arrays in bounded memory: beyond a budget they go to one temporary file, and are read back by mapping it.

The file has no name from the moment it is opened (where the system allows that), so it is gone with the process, whatever ends
it. The pages of the mapping belong to the system's cache: they are given back when memory is short.
"""

from __future__ import annotations

import errno
import mmap
import tempfile
from dataclasses import dataclass
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import OutputError

BUDGET = 2 * 2**30
"""Bytes of arrays that are kept in memory."""

ALIGNED = 16
"""Arrays start at multiples of this in the file."""


@dataclass(frozen=True)
class _Place:
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Spool:
    """Takes arrays one by one, then gives them back by number, bit for bit, any number of times.

    Once `budget` is passed, everything lies in the file. Arrays that were given back stay valid as long as they are held, also
    after `close`.

    Args:
        budget: bytes of memory for the arrays.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._kept: list[NDArray[Any]] = []
        self._places: list[_Place] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._mapping: mmap.mmap | None = None

    @property
    def spooled(self) -> bool:
        """Whether the arrays lie in a file."""
        return self._file is not None or self._mapping is not None

    def put(self, array: NDArray[Any]) -> int:
        """Keep an array, and return its number.

        Raises:
            OutputError: the temporary folder is full or cannot be written.
            ValueError: arrays were read already.
        """
        if self._mapping is not None:
            raise ValueError("the spool is read already; expected every array to be put before the first is read")
        self._bytes += array.nbytes
        if self._file is None and self._bytes > self.budget:
            self._move_to_file()
        if self._file is None:
            self._kept.append(array)
        else:
            self._write(array)
        return len(self) - 1

    def __len__(self) -> int:
        return len(self._places) if self.spooled else len(self._kept)

    def __getitem__(self, number: int) -> NDArray[Any]:
        if not self.spooled:
            return self._kept[number]
        place = self._places[number]
        count = int(np.prod(place.shape))
        if not count:
            return np.zeros(place.shape, place.dtype)
        return np.frombuffer(self._mapped(), place.dtype, count, place.start).reshape(place.shape)

    def close(self) -> None:
        """Let go of the file; what is still held of it stays readable until it is let go as well."""
        if self._file is not None:
            self._file.close()
        self._file, self._mapping, self._kept, self._places = None, None, [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        """After an error nothing is kept; otherwise the file lives as long as what was read from it."""
        if error is not None:
            self.close()

    def _move_to_file(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="flawsmith-")  # noqa: SIM115 - it lives as long as what is read from it
        except OSError as error:
            raise OutputError(f"no temporary file can be written ({error}); set TMPDIR to a folder with room") from error
        kept, self._kept = self._kept, []
        for array in kept:
            self._write(array)

    def _write(self, array: NDArray[Any]) -> None:
        assert self._file is not None
        try:
            start = self._file.tell()
            self._file.write(b"\0" * (-start % ALIGNED))
            self._places.append(_Place(start + -start % ALIGNED, array.shape, array.dtype))
            self._file.write(np.ascontiguousarray(array).data)
        except OSError as error:
            self.close()
            room = "is full" if error.errno == errno.ENOSPC else f"cannot be written ({error})"
            raise OutputError(
                f"the temporary folder {tempfile.gettempdir()} {room} after {self._bytes / 1e9:.1f} GB of anomaly maps; "
                "set TMPDIR to a folder with more room"
            ) from error

    def _mapped(self) -> mmap.mmap:
        if self._mapping is None:
            assert self._file is not None
            self._file.flush()
            self._mapping = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self._file.close()
            self._file = None
        return self._mapping
