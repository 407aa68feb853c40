"""Which photographs a name means that another tool or a list tells: a stem, a file's name, or a part of its path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from flawsmith.core.samples import Sample
from flawsmith.data.tree import IMAGE_SUFFIXES, split_suffix

Ends = Mapping[str, list[Sample]]
"""Every end of an id that begins at one of its parts → the samples with that end."""


def ends_of(samples: Iterable[Sample]) -> Ends:
    """The samples by every end of their ids."""
    ends: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        parts = sample.id.split("/")
        for start in range(len(parts)):
            ends["/".join(parts[start:])].append(sample)
    return dict(ends)


def meant_by(name: str, ends: Ends) -> list[Sample]:
    """The samples that a part of a path may mean: those of its longest end that is an end of an id; empty where none is."""
    parts = without_suffix(name).split("/")
    told = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((ends[end] for end in told if end in ends), [])


def without_suffix(name: str) -> str:
    """A name without the suffix of an image file."""
    stem, suffix = split_suffix(name)
    return stem if suffix in IMAGE_SUFFIXES else name
