"""Numbers: exact, with a reason where there is none, and with the protocol that they were measured under."""

from flawsmith.metrics.maps import METRIC_IDS, Scores, per_defect, score_maps, score_stream
from flawsmith.metrics.proportions import wilson
from flawsmith.metrics.ranking import auroc, average_precision, f1_max
from flawsmith.metrics.records import REASONS, Interval, MetricValue, ProtocolRecord

__all__ = [
    "METRIC_IDS",
    "REASONS",
    "Interval",
    "MetricValue",
    "ProtocolRecord",
    "Scores",
    "auroc",
    "average_precision",
    "f1_max",
    "per_defect",
    "score_maps",
    "score_stream",
    "wilson",
]
