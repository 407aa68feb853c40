"""How many pixels each value of a mask has, kept between runs: opening 1200 masks takes seconds, and every command needs them.

They lie in `areas` under `core.files.cache_home()`, one file per folder of data, and may be deleted at any time. A mask that
has another size or time of change is read again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.core.errors import DamagedFile, DataError, OutputError
from flawsmith.core.files import cache_home, read_json, sha256_bytes, write_json
from flawsmith.data.reading import read_mask_values

FORMAT = 1


class KnownAreas:
    """The areas of the values in the masks below a folder.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        name = sha256_bytes(str(root.resolve()).encode("utf-8", "surrogateescape"))[:32]
        self._file: Path | None = None
        with suppress(RuntimeError):  # a user without a home
            self._file = Path(cache_home()).expanduser() / "areas" / f"{name}.json"
        self._kept = _read(self._file)
        self._used: dict[str, dict[int, int]] = {}

    def of(self, mask: str) -> dict[int, int]:
        """Value → its pixels, 0 left out; empty where the mask cannot be read.

        Args:
            mask: its path, relative to the folder.
        """
        try:
            state = (self.root / mask).stat()
        except OSError:
            return {}
        key = f"{mask}:{state.st_size}:{state.st_mtime_ns}"
        found = self._kept.get(key) or _count(self.root / mask)
        if found:
            self._used[key] = found
        return found

    def keep(self) -> None:
        """Write what was asked for; where nothing can be written, it is read again next time."""
        if self._used != self._kept and self._file is not None:
            masks = {key: {str(value): area for value, area in found.items()} for key, found in self._used.items()}
            with suppress(OutputError):
                write_json(self._file, {"format": FORMAT, "root": str(self.root.resolve()), "masks": masks})


def _count(path: Path) -> dict[int, int]:
    try:
        values = read_mask_values(path, palette=True)
    except DataError:
        return {}
    counts = np.bincount(values[values > 0], minlength=256)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def _read(file: Path | None) -> dict[str, dict[int, int]]:
    """What was kept; nothing where the file is missing or is none of ours."""
    if file is None or not file.is_file():
        return {}
    with suppress(DamagedFile, ValueError, TypeError, KeyError, AttributeError):
        content: Any = read_json(file)
        if content["format"] == FORMAT:
            return {key: {int(value): int(area) for value, area in found.items()} for key, found in content["masks"].items()}
    return {}
