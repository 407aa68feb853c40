"""Masks of good images: they are blank, or image and mask contradict one another (E_MASK_ON_NORMAL)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flawsmith.core.errors import DataError
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.data.problems import Problem, raise_errors
from flawsmith.data.reading import FileSource


def refuse_marked_normals(samples: Iterable[Sample]) -> None:
    """Read the masks of the normals among the samples, where they have some; those of anomalies are left alone.

    Raises:
        DataError: a mask marks a defect (E_MASK_ON_NORMAL) or breaks a rule of `FileSource.read_regions`; one error names all of
            its kind.
    """
    sources = [sample.source for sample in samples if sample.is_normal and isinstance(sample.source, FileSource)]
    masked = [source for source in sources if source.masks]
    raise_errors([problem for source in track(masked, "looking at masks of good images") for problem in _problems(source)])


def _problems(source: FileSource) -> Iterator[Problem]:
    for mask in source.masks:
        try:
            marked = any(region.mask.any() for region in source.read_regions(mask)[0])
        except DataError as error:
            yield Problem(error.code, str(error), error.files)
        else:
            if marked:
                yield mask_on_normal(source, mask)


def mask_on_normal(source: FileSource, mask: str) -> Problem:
    """What is said of a mask that marks a defect on a good image."""
    told = f"{source.root / mask} marks a defect on {source.path}, a good image; expected a blank mask: move one"
    return Problem("E_MASK_ON_NORMAL", told, (str(source.root / mask),))
