"""Photographs of one piece: how many groups a data set has, and how many a split by single images would tear."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from flawsmith.core.errors import DataError
from flawsmith.data.dataset import Dataset
from flawsmith.data.splits import make_split, torn_groups


@dataclass(frozen=True)
class GroupReport:
    """The groups of a data set.

    Args:
        groups: how many.
        sizes: images in a group → number of such groups, the most frequent first.
        mixed: groups with both normals and anomalies.
        torn: groups on both sides of the split `random` with seed 0; None where it cannot be made.
        tested: images that this split tests.
        seen: how many of them have one of their group in training.
    """

    groups: int
    sizes: dict[int, int]
    mixed: int
    torn: int | None
    tested: int
    seen: int

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            "count": self.groups,
            "sizes": [{"images": size, "groups": count} for size, count in self.sizes.items()],
            "mixed": self.mixed,
            "random_split": {"torn": self.torn, "tested": self.tested, "tested_with_group_in_training": self.seen},
        }


def group_report(dataset: Dataset) -> GroupReport | None:
    """The groups of a data set; None where each image is its own."""
    members = Counter(sample.group for sample in dataset.samples)
    if len(members) == len(dataset.samples):
        return None
    kinds = Counter(group for group, _ in {(sample.group, sample.is_normal) for sample in dataset.samples})
    sizes = dict(Counter(members.values()).most_common())
    mixed = sum(count > 1 for count in kinds.values())
    try:
        split = make_split(dataset, "random")
    except DataError:
        return GroupReport(len(members), sizes, mixed, None, 0, 0)
    trained = {sample.group for sample in split.on(dataset, "train")}
    tested = split.on(dataset, "test")
    seen = sum(sample.group in trained for sample in tested)
    return GroupReport(len(members), sizes, mixed, len(torn_groups(dataset, split.assignment)), len(tested), seen)
