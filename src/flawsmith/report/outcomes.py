"""What happened to each test image at the threshold, and which images are worth showing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flawsmith.core.seeding import Seed
from flawsmith.inspection.evaluation import Evaluation, ImageResult
from flawsmith.report.wording import parts


def is_called_defective(result: ImageResult, threshold: float) -> bool:
    """The inspector's verdict; without one, whether the score exceeds the threshold."""
    verdict = result.prediction.verdict
    return verdict == "defect" if verdict else result.prediction.score > threshold


@dataclass(frozen=True)
class Confusion:
    """Counts at the threshold.

    Args:
        found, missed: anomalies called defective, and called good.
        alarms, passed: normals called defective, and called good.
    """

    found: int
    missed: int
    alarms: int
    passed: int

    @classmethod
    def of(cls, results: Sequence[ImageResult], threshold: float) -> Confusion:
        """Count."""
        rows = [(result.sample.is_normal, is_called_defective(result, threshold)) for result in results]
        return cls(rows.count((False, True)), rows.count((False, False)), rows.count((True, True)), rows.count((True, False)))

    @property
    def anomalies(self) -> int:
        """Number of defective parts."""
        return self.found + self.missed

    @property
    def normals(self) -> int:
        """Number of good parts."""
        return self.alarms + self.passed

    def sentence(self) -> str:
        """The verdict in words."""
        if not self.anomalies:
            return f"Calls {self.alarms} of {parts(self.normals, 'good')} defective; the test set holds no defective part."
        finds = f"Finds {self.found} of {parts(self.anomalies, 'defective')}"
        if not self.normals:
            return f"{finds}; the test set holds no good part, so false alarms are unknown."
        return f"{finds} and calls {self.alarms} of {parts(self.normals, 'good')} defective."


@dataclass(frozen=True, eq=False)
class Examples:
    """Images to show; which ones is decided by rule, not by taste.

    Args:
        hits: found defects, the highest score of each kind in turn.
        drawn: anomalies drawn at random.
        lowest: anomalies with the lowest scores.
        highest: normals with the highest scores.
    """

    hits: tuple[ImageResult, ...]
    drawn: tuple[ImageResult, ...]
    lowest: tuple[ImageResult, ...]
    highest: tuple[ImageResult, ...]

    @classmethod
    def of(cls, evaluation: Evaluation, most: int = 6) -> Examples:
        """Choose at most `most` of each."""
        ranked = sorted(evaluation.results, key=lambda result: (-result.prediction.score, result.sample.id))
        anomalies = [result for result in ranked if not result.sample.is_normal]
        normals = [result for result in ranked if result.sample.is_normal]
        hits = _in_turn([r for r in anomalies if is_called_defective(r, evaluation.threshold)])[:most]
        lowest = anomalies[::-1][:most]
        rest = [result for result in anomalies if result not in hits and result not in lowest]
        order = Seed(0).numpy("report", "examples").permutation(len(rest))[:most]
        return cls(tuple(hits), tuple(rest[i] for i in sorted(order)), tuple(lowest), tuple(normals[:most]))


def _in_turn(ranked: Sequence[ImageResult]) -> list[ImageResult]:
    """The best of each kind, then the second of each, and so on."""
    seen: dict[str, int] = {}
    places = []
    for place, result in enumerate(ranked):
        seen[result.sample.defect] = seen.get(result.sample.defect, 0) + 1
        places.append((seen[result.sample.defect], place))
    return [ranked[place] for _, place in sorted(places)]
