"""Finding photographs of a data set among other files, whatever their names and formats: by decoded pixels, turned or not.

Only files whose sides some photograph has are decoded, and of those only pictures with equal histograms are compared in full, so
a folder of other pictures costs its headers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from flawsmith.core.arrays import Image
from flawsmith.core.errors import DataError
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.data.fingerprints import turned_digest
from flawsmith.data.headers import read_header
from flawsmith.data.reading import read_image

Sides = tuple[int, ...]


def copies_of(files: Iterable[Path], samples: Sequence[Sample]) -> list[tuple[Path, Sample]]:
    """The files that show a photograph of the data set, pixel for pixel, as it is, turned or mirrored.

    Args:
        files: pictures; what cannot be read is passed over, and named by who needs it.
        samples: the photographs.

    Returns:
        (file, photograph), in the order of the files.
    """
    photographs: dict[Sides, list[Sample]] = defaultdict(list)
    for sample in samples:
        with suppress(DataError):
            photographs[tuple(sorted(sample.source.size()))].append(sample)
    candidates = [(file, sides) for file, sides in _sides(files) if sides in photographs]
    wanted = {sides for _, sides in candidates}
    marks: dict[bytes, list[Sample]] = defaultdict(list)
    for sample in track([one for sides in sorted(wanted) for one in photographs[sides]], "looking for copies"):
        with suppress(DataError):
            marks[_mark(sample.image())].append(sample)
    return list(_equal(candidates, marks))


def _sides(files: Iterable[Path]) -> Iterator[tuple[Path, Sides]]:
    for file in files:
        with suppress(DataError):
            yield file, tuple(sorted(read_header(file).size))


def _equal(candidates: Sequence[tuple[Path, Sides]], marks: dict[bytes, list[Sample]]) -> Iterator[tuple[Path, Sample]]:
    digests: dict[str, str] = {}
    for file, _ in track(candidates, "looking for copies"):
        with suppress(DataError):
            image = read_image(file)
            for sample in marks.get(_mark(image), ()):
                if sample.id not in digests:
                    digests[sample.id] = turned_digest(sample.image())
                if digests[sample.id] == turned_digest(image):
                    yield file, sample
                    break


def _mark(image: Image) -> bytes:
    """What turning and mirroring leave as it is: the histograms of the three channels."""
    channels = np.ascontiguousarray(image)
    return b"".join(cv2.calcHist([channels], [channel], None, [256], [0, 256]).tobytes() for channel in range(3))
