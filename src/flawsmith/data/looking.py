"""Opening every file of a data set once, and keeping what was seen: sizes, modes, fingerprints, masks, problems."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, Sample
from flawsmith.data.fingerprints import Fingerprint, fingerprint
from flawsmith.data.good_masks import mask_on_normal
from flawsmith.data.problems import SHOWN, Problem
from flawsmith.data.reading import FileSource, read_mask_values


@dataclass
class MasksSeen:
    """What the masks of anomalies hold.

    Args:
        encodings: how they are read → number of masks.
        grey: masks under a threshold with values between 0 and 255, which the threshold decides on.
        blank: images whose masks are blank in the release, as expected: they count for image metrics alone.
    """

    encodings: Counter[str] = field(default_factory=Counter)
    grey: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Numbers, and the first files."""
        return {
            "encodings": dict(self.encodings),
            "grey": {"count": len(self.grey), "files": self.grey[:SHOWN]},
            "blank_as_released": {"count": len(self.blank), "files": self.blank[:SHOWN]},
        }


class Looked:
    """What was seen in the files so far."""

    def __init__(self) -> None:
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.modes: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.prints: dict[str, Fingerprint] = {}
        self.odd: list[tuple[str, float]] = []
        """Binary masks with a few grey pixels, and their share."""
        self.masks = MasksSeen()
        self.marked: set[tuple[str, str]] = set()
        """(product, defect) of every region with a pixel in it."""

    def at(self, sample: Sample, full: bool) -> None:
        """Open one sample's image and masks.

        Args:
            sample: of a layout, so in files.
            full: decode the pixels; otherwise only the image's header is read.
        """
        source = sample.source
        assert isinstance(source, FileSource)
        if "blank_mask" in sample.tags:
            self.masks.blank.append(source.location)
        try:
            header = source.header()
            self.sizes[header.size] += 1
            self.modes[header.mode] += 1
            if header.mode == "CMYK":
                told = f"{source.location} is CMYK and read as RGB; expected RGB: convert it to be sure of its colours"
                self.problems.append(Problem("W_CMYK", told, (source.location,)))
            if full:
                self.prints[sample.id] = fingerprint(source.image())
        except DataError as error:
            self._note(error)
            return
        if full:
            self._at_masks(sample.product, source)

    def _at_masks(self, product: str, source: FileSource) -> None:
        marked = False
        for mask in source.masks:
            try:
                regions, odd = source.read_regions(mask)
                self._at_values(source, mask)
            except DataError as error:
                self._note(error)
                return
            found = [region.defect for region in regions if region.mask.any()]
            self.marked.update((product, defect) for defect in found)
            marked = marked or bool(found)
            if odd > 0:
                self.odd.append((str(source.root / mask), odd))
        if not source.masks:
            return
        if marked and source.defect == GOOD:
            self.problems.append(mask_on_normal(source, source.masks[0]))
        if not marked and source.has_mask and source.defect != GOOD:
            try:
                source.regions()
            except DataError as error:
                self._note(error)

    def _at_values(self, source: FileSource, mask: str) -> None:
        if source.defect == GOOD:
            return
        self.masks.encodings[source.mask_rule] += 1
        if source.encoding.kind == "threshold":
            values = read_mask_values(source.root / mask)
            if np.any((values != 0) & (values != 255)):
                self.masks.grey.append(str(source.root / mask))

    def _note(self, error: DataError) -> None:
        self.problems.append(Problem(error.code, str(error), error.files))
