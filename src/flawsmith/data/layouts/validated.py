"""What layouts of data sets with a validation folder share: it stays validation, unless the user wants what others did."""

from __future__ import annotations

from abc import ABC

from flawsmith.core.samples import SplitName
from flawsmith.data.layouts.published import PublishedLayout


class ValidatedLayout(PublishedLayout, ABC):
    """A published data set with validation/good.

    Args:
        merge_validation: train on validation/good too, as ADer does.
    """

    merge_validation: bool = False

    def place_of(self, split: SplitName) -> SplitName:
        """The split that the images of a split's folder are put into."""
        return "train" if split == "val" and self.merge_validation else split
