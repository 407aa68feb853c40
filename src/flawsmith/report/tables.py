"""Tables of an evaluation, and of several beside each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from flawsmith.inspection.evaluation import Evaluation, ImageResult
from flawsmith.metrics import METRIC_IDS, MetricValue
from flawsmith.report.outcomes import Confusion, is_called_defective
from flawsmith.report.page import Cell, Column, Table
from flawsmith.report.results import cautions_of, head_of, metric_cell, mixed_fields, ranks_of, stamp_of
from flawsmith.report.wording import DASH, decimal, percent, significant

COMPARED = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_aupro")
"""Metrics of comparisons. F1-max stays out: its threshold is chosen on the test set."""


def defect_table(evaluation: Evaluation) -> Table:
    """One row per kind of defect: how many were found, and its metrics against all normals."""
    by_defect: dict[str, list[ImageResult]] = {}
    for result in evaluation.results:
        by_defect.setdefault(result.sample.defect, []).append(result)
    ids = [metric for metric in METRIC_IDS if any(metric in row for row in evaluation.per_defect.values())]

    def found(name: str) -> str:
        results = by_defect.get(name, [])
        return percent(sum(is_called_defective(r, evaluation.threshold) for r in results), len(results))

    columns = [
        Column("Defect", lambda name: name),
        Column("Found", found, number=True),
        *(_defect_column(metric, evaluation.per_defect) for metric in ids),
    ]
    return Table.of(list(evaluation.per_defect), columns)


def _defect_column(metric: str, rows: Mapping[str, Mapping[str, MetricValue]]) -> Column:
    head = head_of(metric, [row[metric].record for row in rows.values() if metric in row])
    return Column(head, lambda name: metric_cell(rows[name].get(metric)), number=True)


def confusion_table(confusion: Confusion) -> Table:
    """Truth against verdict."""
    rows = [("defective parts", confusion.found, confusion.missed), ("good parts", confusion.alarms, confusion.passed)]
    columns = [
        Column("", lambda row: row[0]),
        Column("called defective", lambda row: str(row[1]), number=True),
        Column("called good", lambda row: str(row[2]), number=True),
    ]
    return Table.of(rows, columns)


def mistakes_table(results: Sequence[ImageResult], threshold: float) -> Table:
    """The calls on the wrong side of the threshold, the furthest first."""
    wrong = [r for r in results if is_called_defective(r, threshold) == r.sample.is_normal]
    wrong.sort(key=lambda r: (-abs(r.prediction.score - threshold), r.sample.id))
    columns = [
        Column("Image", lambda r: r.sample.id),
        Column("Truth", lambda r: r.sample.defect),
        Column("Called", lambda r: "defective" if is_called_defective(r, threshold) else "good"),
        Column("Score", lambda r: significant(r.prediction.score), number=True),
    ]
    return Table.of(wrong, columns, f"{len(wrong)} of {len(results)} images; threshold {significant(threshold)}")


def protocol_table(metrics: Mapping[str, MetricValue]) -> Table:
    """How each metric was measured, and on how much; what all have in common stands below."""
    shared = _shared_details(metrics)
    columns = [
        Column("Metric", lambda item: Cell(head_of(item[0], [item[1].record]), item[0])),
        Column("Value", lambda item: metric_cell(item[1]), number=True),
        Column("Chance", lambda item: chance_of(item[1]), number=True),
        Column("Rule", lambda item: item[1].record.curve or DASH),
        Column("Resolution", lambda item: item[1].record.resolution or DASH),
        Column("Mask rule", lambda item: item[1].record.mask_rule or DASH),
        Column("Image score", lambda item: item[1].record.image_score or DASH),
        Column("Regions", lambda item: _regions(item[1])),
        Column("Images", lambda item: _images(item[1])),
        Column("Pixels", lambda item: _pixels(item[1])),
    ]
    own = {name: _details(value, shared) for name, value in metrics.items()}
    if any(own.values()):
        columns.append(Column("More", lambda item: own[item[0]] or DASH))
    notes = [f"For all of them – {_listed(shared)}."] if shared else []
    notes += cautions_of(value.record for value in metrics.values())
    return Table.of(list(metrics.items()), columns, notes=notes)


def _shared_details(metrics: Mapping[str, MetricValue]) -> dict[str, str]:
    """Protocol and details that every record has."""
    told = [{"protocol": value.record.protocol, **value.record.details} for value in metrics.values()]
    return {name: text for name, text in (told[0] if told else {}).items() if all(each.get(name) == text for each in told)}


def _details(value: MetricValue, shared: Mapping[str, str]) -> str:
    told = {"protocol": value.record.protocol, **value.record.details}
    return _listed({name: text for name, text in told.items() if name not in shared})


def _listed(told: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in told.items())


def chance_of(value: MetricValue) -> str:
    """What guessing would give."""
    record, kind = value.record, value.record.metric.split("_")[1]
    if not value.defined:
        return DASH
    if kind == "aupro":
        return decimal((record.fpr_limit or 1.0) / 2)
    share = record.prevalence
    return decimal({"auroc": 0.5, "ap": share, "f1max": 2 * share / (1 + share)}.get(kind, float("nan")))


def _regions(value: MetricValue) -> Cell | str:
    record = value.record
    if record.connectivity is None:
        return DASH
    end = "the whole curve" if record.fpr_limit is None else f"up to FPR {record.fpr_limit:g}"
    return Cell(f"{record.regions}", f"{record.connectivity}-connected, {end}")


def _images(value: MetricValue) -> Cell:
    record = value.record
    left_out = f"; {record.excluded} without a mask left out" if record.excluded else ""
    return Cell(f"{record.images}", f"{record.normals} good, {record.anomalies} defective{left_out}")


def _pixels(value: MetricValue) -> Cell | str:
    record = value.record
    if not record.pixels:
        return DASH
    engine = f"; {record.engine}" if record.engine else ""
    return Cell(f"{record.pixels:,}", f"{record.prevalence:.2%} on defects{engine}")


def comparison_table(evaluations: Sequence[Evaluation], caption: str = "", allow: Collection[str] = ()) -> Table:
    """One row per evaluation, one column per metric of `COMPARED` that at least one of them has; the best of each is marked.

    Args:
        evaluations: in the order of the rows.
        caption: above it.
        allow: fields of the records in which they may differ, `split` for instance; the table says which do.

    Raises:
        BadParameter: two values of one column were measured by different protocols.
    """
    ids = [m for m in COMPARED if any(m in e.metrics and e.metrics[m].defined for e in evaluations)]
    mixed = {metric: mixed_fields([(e.name, e.metrics.get(metric)) for e in evaluations], metric, allow) for metric in ids}
    counts = {id(e): Confusion.of(e.results, e.threshold) for e in evaluations}
    columns = [
        Column("", lambda e: Cell(e.name, e.detector)),
        Column("Split", lambda e: Cell(str(e.split.get("policy", DASH)), "; ".join(map(str, e.split.get("flags", ()))))),
        Column("Defects found", lambda e: percent(counts[id(e)].found, counts[id(e)].anomalies), number=True),
        Column("False alarms", lambda e: percent(counts[id(e)].alarms, counts[id(e)].normals), number=True),
        *(_ranked_column(metric, evaluations) for metric in ids),
        Column("Training", lambda e: _timing(e, "train_seconds", "s"), number=True),
        Column("Per image", lambda e: _timing(e, "predict_ms_per_image", "ms"), number=True),
    ]
    cautions = cautions_of(e.metrics[metric].record for e in evaluations for metric in ids if metric in e.metrics)
    return Table.of(evaluations, columns, caption, [*stamp_of(mixed), *cautions])


def _ranked_column(metric: str, evaluations: Sequence[Evaluation]) -> Column:
    having = {str(id(e)): e.metrics[metric] for e in evaluations if metric in e.metrics}
    ranks = ranks_of(having, metric)
    head = head_of(metric, [value.record for value in having.values()])

    def cell(evaluation: Evaluation) -> Cell:
        return replace(metric_cell(evaluation.metrics.get(metric)), rank=ranks.get(str(id(evaluation)), ""))

    return Column(head, cell, number=True)


def _timing(evaluation: Evaluation, name: str, unit: str) -> str:
    value = evaluation.timings.get(name)
    return DASH if value is None else f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
