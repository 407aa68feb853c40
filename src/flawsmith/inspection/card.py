"""The model card: what a person reads before trusting an inspector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flawsmith.core.detector import Detector
from flawsmith.core.recipes import TrainingRecipe
from flawsmith.inspection.thresholds import Threshold

if TYPE_CHECKING:
    from flawsmith.inspection.inspector import Origin


def card_of(detector: Detector, recipe: TrainingRecipe, threshold: Threshold, origin: Origin, metrics: Mapping[str, Any]) -> str:
    """Markdown: what it is, what it was trained on, its threshold, what to beware of."""
    synth = ", ".join(f"{member.method.name}:{member.weight:g}" for member in recipe.synth) or "none"
    rows = [
        ("detector", f"{detector.name}, {detector.size}×{detector.size}"),
        ("product", f"{origin.product} of {origin.dataset}"),
        ("synthesizers", synth),
        ("share of anomalies in training", f"{recipe.ratio:g}" if origin.learned_from_anomalies else "0"),
        ("real defects in training", "yes" if origin.uses_real_anomalies else "no"),
        ("threshold", f"{threshold.value:.6g}: {threshold.source}"),
        ("training time", f"{metrics.get('train_seconds', float('nan')):.1f} s"),
        ("seed", str(recipe.seed)),
        ("licence of the data", origin.licence or "not stated"),
        ("cite", origin.citation or "not stated"),
    ]
    table = "\n".join(f"| {name} | {' '.join(str(value).split())} |" for name, value in rows)
    beware = "\n".join(f"- {warning}" for warning in origin.warnings) or "- nothing noted"
    return f"# Inspector for {origin.product}\n\n| | |\n|---|---|\n{table}\n\n## Beware\n\n{beware}\n"
