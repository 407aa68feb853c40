"""Tables of results: measured rows, published ones in grey below them, the best and the second best marked.

Rules (metrics' specification, sections 0 and 10): values in a column share one protocol, or someone asked for it and the table
says so; the variant of AUPRO stands in the head; a published value stands only beside what it is; averages are taken again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flawsmith.core.errors import BadParameter
from flawsmith.metrics import MetricValue, ProtocolRecord
from flawsmith.metrics.aggregation import differs_by_more_than_rounding, macro_mean
from flawsmith.metrics.variants import VARIANTS
from flawsmith.report.page import Cell, Column, Table
from flawsmith.report.published import PublishedValue, why_not_beside
from flawsmith.report.published_averages import doubt_of
from flawsmith.report.wording import DASH, decimal, interval_of, title_of, why

LOWER_IS_BETTER = frozenset({"fid", "kid", "lpips"})
AVERAGE = "Average"


@dataclass(frozen=True)
class Measured:
    """One row of our own.

    Args:
        name: of the row.
        values: by metric id.
        note: below the name.
    """

    name: str
    values: Mapping[str, MetricValue]
    note: str = ""


@dataclass(frozen=True)
class Published:
    """One row that a paper prints.

    Args:
        name: of the row.
        values: by metric id.
        note: source and setting, below the name.
        remarks: what differs from our rows, and caveats.
    """

    name: str
    values: Mapping[str, PublishedValue]
    note: str = ""
    remarks: tuple[str, ...] = field(default=())


def results_table(
    rows: Sequence[Measured],
    published: Sequence[Published] = (),
    *,
    metrics: Sequence[str],
    allow: Collection[str] = (),
    caption: str = "",
) -> Table:
    """A column per metric, a row per measurement; published rows below, grey, their remarks numbered under the table.

    Args:
        rows: ours.
        published: theirs.
        metrics: ids of the columns.
        allow: fields of a record in which rows may differ; the table is stamped with those that do.
        caption: above it.

    Raises:
        BadParameter: two values of one column were measured differently, and nobody allowed it.
    """
    mixed = {metric: mixed_fields([(row.name, row.values.get(metric)) for row in rows], metric, allow) for metric in metrics}
    marks = _marks(published)
    columns = [
        Column("", lambda row: _name_cell(row, marks)),
        *(_metric_column(metric, rows) for metric in metrics),
    ]
    records = (value.record for row in rows for metric, value in row.values.items() if metric in metrics)
    notes = [*stamp_of(mixed), *cautions_of(records), *(f"[{number}] {text}" for text, number in marks.items())]
    return Table.of([*rows, *published], columns, caption, notes)


def category_table(
    values: Mapping[str, Mapping[str, MetricValue]],
    *,
    metrics: Sequence[str],
    printed: Mapping[str, float] | None = None,
    unit: float = 0.001,
    caption: str = "",
) -> Table:
    """A row per category, and their average, taken again; a printed average that is not theirs is told.

    Args:
        values: category → metric → value.
        metrics: ids of the columns.
        printed: averages that stand elsewhere, by metric.
        unit: of the last digit of these.
        caption: above it.

    Raises:
        BadParameter: two categories were measured differently.
    """
    rows = [Measured(name, row) for name, row in values.items()]
    means = {}
    notes = []
    for metric in metrics:
        column = {name: row[metric] for name, row in values.items() if metric in row}
        if not column:
            continue
        means[metric] = macro_mean(column)
        parts = [value.value for value in column.values() if value.defined]
        if printed and metric in printed and parts and differs_by_more_than_rounding(printed[metric], parts, unit):
            notes.append(
                f"{title_of(metric)}: {printed[metric]:g} is printed as the average, these rows give {means[metric].value:.4f}"
            )
    notes += cautions_of(value.record for row in rows for metric, value in row.values.items() if metric in metrics)
    columns = [Column("", lambda row: _name_cell(row, {})), *(_metric_column(metric, rows) for metric in metrics)]
    return Table.of([*rows, Measured(AVERAGE, means)], columns, caption, notes)


def metric_cell(value: MetricValue | None) -> Cell:
    """Three decimals, ± where there are runs, with the interval below; a dash with the reason below where there is no number."""
    if value is None:
        return Cell(DASH, "not measured")
    spread = f" ± {decimal(value.std)}" if value.defined and value.std is not None else ""
    words = [text for text in (why(value), left_out_of(value.record)) if text]
    told = [why(value) or interval_of(value.interval), _bounds(value), left_out_of(value.record)]
    return Cell(
        f"{decimal(value.value)}{spread}",
        "; ".join(text for text in told if text),
        value=value.value if value.defined else None,
        more=_numbers_beside(value) if value.defined else (),
        told="; ".join(words),
    )


def _numbers_beside(value: MetricValue) -> tuple[tuple[str, float], ...]:
    """Ends of the interval, spread and certified ends, as far as they are there."""
    ends = (("low", value.interval.low), ("high", value.interval.high)) if value.interval else ()
    spread = (("std", value.std),) if value.std is not None else ()
    certified = (("certified low", value.bounds[0]), ("certified high", value.bounds[1])) if value.bounds else ()
    return (*ends, *spread, *certified)


def left_out_of(record: ProtocolRecord) -> str:
    """How many parts a mean left out, and which; parts of its parts are among them, so only classes have one total to be told."""
    if not record.left_out:
        return ""
    classes = record.details.get("classes", "").split(", ")
    of = "" if record.categories or not set(record.left_out) <= set(classes) else f" of {len(classes)} classes"
    return f"{len(record.left_out)}{of} left out: {', '.join(record.left_out)}"


def head_of(metric: str, records: Sequence[ProtocolRecord]) -> str:
    """The head of a column; that of AUPRO says which variant, up to which false-positive rate."""
    if metric != "pixel_aupro":
        return title_of(metric)
    told = dict.fromkeys(variant_of(record) for record in records)
    return f"{title_of(metric)} ({' / '.join(told)})" if told else title_of(metric)


def variant_of(record: ProtocolRecord) -> str:
    """Which AUPRO was measured: `mvtec, FPR ≤ 0.3`; empty for another metric."""
    if record.metric != "pixel_aupro":
        return ""
    return f"{record.curve or 'variant not stated'}, FPR ≤ {record.fpr_limit or 1:g}"


def cautions_of(records: Iterable[ProtocolRecord]) -> list[str]:
    """What must be known of each variant of AUPRO among the records; the head of its column names it."""
    found = dict.fromkeys(record.curve for record in records if record.metric == "pixel_aupro")
    return [f"AUPRO {name}: {VARIANTS[name]}." for name in found if name in VARIANTS]


def mixed_fields(values: Sequence[tuple[str, MetricValue | None]], metric: str, allow: Collection[str] = ()) -> tuple[str, ...]:
    """The allowed fields in which the records of a column differ.

    Raises:
        BadParameter: they differ in one that is not allowed.
    """
    having = [(name, value.record) for name, value in values if value is not None]
    mixed: dict[str, None] = {}
    for name, record in having[1:]:
        found = having[0][1].differences(record)
        if forbidden := [field for field in found if field not in allow]:
            raise BadParameter(
                f"{metric} of {having[0][0]!r} and of {name!r} differ in {', '.join(forbidden)}; expected one protocol in a "
                "column: measure both alike, put them in two tables, or allow it"
            )
        mixed |= dict.fromkeys(found)
    return tuple(mixed)


def stamp_of(mixed: Mapping[str, Sequence[str]]) -> list[str]:
    """What a table says of fields that were allowed to differ."""
    fields = dict.fromkeys(name for each in mixed.values() for name in each)
    return [f"Compared on request although the records differ in: {', '.join(fields)}."] if fields else []


def _metric_column(metric: str, rows: Sequence[Measured]) -> Column:
    having = {str(id(row)): row.values[metric] for row in rows if metric in row.values}
    records = [value.record for value in having.values()]
    ranks = ranks_of(having, metric)

    def cell(row: Measured | Published) -> Cell:
        if isinstance(row, Published):
            return _published_cell(row.values.get(metric), records)
        return replace(metric_cell(row.values.get(metric)), rank=ranks.get(str(id(row)), ""))

    return Column(head_of(metric, records), cell, number=True)


def ranks_of(values: Mapping[str, MetricValue], metric: str) -> dict[str, Any]:
    """`best` and `second` of each group of at least two rows that share a protocol; equal values share a rank.

    Args:
        values: by what tells the rows apart, which their names need not.
        metric: id of the column.
    """
    ranks: dict[str, Any] = {}
    for group in _by_protocol(values):
        numbers = sorted({values[name].value for name in group}, reverse=metric.partition("@")[0] not in LOWER_IS_BETTER)
        if len(group) > 1 and len(numbers) > 1:
            places = dict(zip(numbers, ("best", "second"), strict=False))
            ranks |= {name: places[values[name].value] for name in group if values[name].value in places}
    return ranks


def _by_protocol(values: Mapping[str, MetricValue]) -> list[list[str]]:
    groups: list[list[str]] = []
    for name, value in values.items():
        if not value.defined:
            continue
        mine = next((group for group in groups if not values[group[0]].record.differences(value.record)), None)
        if mine is None:
            groups.append([name])
        else:
            mine.append(name)
    return groups


def _published_cell(value: PublishedValue | None, records: Sequence[ProtocolRecord]) -> Cell:
    if value is None:
        return Cell(DASH, grey=True)
    reasons = dict.fromkeys(why_not_beside(value, record) for record in records)
    refused = next((reason for reason in reasons if reason), "")
    if refused:
        return Cell(DASH, f"kept out: {refused}", grey=True)
    return Cell(decimal(value.value), grey=True, value=value.value)


def _name_cell(row: Measured | Published, marks: Mapping[str, int]) -> Cell:
    if isinstance(row, Measured):
        return Cell(row.name, row.note)
    remarks = remarks_of(row)
    numbers = " ".join(f"[{number}]" for number in sorted(marks[text] for text in remarks))
    return Cell(row.name, f"{row.note} {numbers}".strip(), grey=True, told=row.note, remarks=remarks)


def remarks_of(row: Published) -> tuple[str, ...]:
    """What must be known of a published row: its own remarks, caveats, and averages that are not those of their parts."""
    found = [*row.remarks]
    for value in row.values.values():
        found += [*value.caveats, *([f"{title_of(value.metric)} is {doubt}"] if (doubt := doubt_of(value)) else [])]
    return tuple(dict.fromkeys(found))


def _marks(published: Sequence[Published]) -> dict[str, int]:
    marks: dict[str, int] = {}
    for row in published:
        for text in remarks_of(row):
            marks.setdefault(text, len(marks) + 1)
    return marks


def _bounds(value: MetricValue) -> str:
    return f"certified {decimal(value.bounds[0])}{DASH}{decimal(value.bounds[1])}" if value.bounds else ""
