"""What a reader of one table must beware of: too few pictures, too few clusters, generated pictures that are real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flawsmith.core.arrays import Image
from flawsmith.data.fingerprints import digest_of
from flawsmith.inspection.quality.recording import Counts
from flawsmith.inspection.quality.sides import Group, Picture
from flawsmith.metrics.frechet import FEW
from flawsmith.metrics.records import MetricValue

LEAST_SHARE = 0.5
"""IC-LPIPS that rests on a smaller share of its clusters is told to."""


class Digests:
    """Digests of decoded pictures; each picture is digested once, where it is first read."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def read(self, picture: Picture) -> Image:
        """The pixels of a picture, whose digest is kept."""
        image = picture.image()
        self._known[picture.name] = digest_of(image)
        return image

    def of(self, picture: Picture) -> str:
        """The digest; the picture is read if it was not yet."""
        if picture.name not in self._known:
            self.read(picture)
        return self._known[picture.name]

    def copies(self, group: Group) -> int:
        """How many generated pictures have the pixels of a real one of the group."""
        real = set(map(self.of, group.real))
        return sum(self.of(picture) in real for picture in group.generated)


def cautions(group: Group, values: Mapping[str, MetricValue], counts: Mapping[str, Counts], copies: int) -> tuple[str, ...]:
    """What to beware of in the values of one group, in words."""
    told = []
    if copies:
        told.append(f"{copies} of the {len(group.generated)} generated pictures have the very pixels of real ones")
    if flagged := [name for name, value in values.items() if value.defined and "flag" in value.record.details]:
        sides = f"{len(group.generated)} generated and {len(group.real)} real pictures, below {FEW}"
        told.append(f"{', '.join(flagged)} of few pictures ({sides}) is biased upwards: compare it with sets of these sizes only")
    if few := _few_clusters(values, counts):
        told.append(f"few clusters have two pictures: {', '.join(few)}; more generated pictures would fill them")
    return tuple(told)


def _few_clusters(values: Mapping[str, MetricValue], counts: Mapping[str, Counts]) -> list[str]:
    found = []
    for name, counted in counts.items():
        sizes: Sequence[int] = counted.get("cluster_sizes", ())
        kept = len(sizes) - int(counted.get("clusters_left_out", 0))
        if name in values and 0 < kept < LEAST_SHARE * len(sizes):
            found.append(f"{name} rests on {kept} of {len(sizes)}")
    return found
