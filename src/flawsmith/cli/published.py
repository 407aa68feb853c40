"""`flawsmith published`: what papers print, with the caveats."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flawsmith.cli.options import AsJson, Debug
from flawsmith.cli.output import show

if TYPE_CHECKING:
    from flawsmith.report.published import Library, PublishedChoice, PublishedValue


def _filter(name: str, metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, metavar=metavar, help=text, show_default=False)
    return option


def published(
    dataset: Annotated[str | None, _filter("--dataset", "NAME", "One data set: MTD, MVTec AD, VisA …")] = None,
    metric: Annotated[str | None, _filter("--metric", "ID", "One metric: image_auroc …")] = None,
    method: Annotated[str | None, _filter("--method", "NAME", "One synthesis, detector or pair, as the paper calls it.")] = None,
    table: Annotated[str | None, _filter("--table", "NUMBER", "One table: IV …")] = None,
    setting: Annotated[str | None, _filter("--setting", "TEXT", "Settings with this text in them: few-shot …")] = None,
    source: Annotated[str | None, _filter("--source", "NAME", "One paper: ASBench, UniADC …")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, with the caveats of each value.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show results that papers print, with what to know before comparing with them. Percentages become fractions.

    Example: flawsmith published --dataset MTD --metric image_auroc
    """
    from flawsmith.core.errors import UsageError
    from flawsmith.report.published import library, published_choices, published_values

    if as_csv and as_json:
        raise UsageError("--csv and --json were both given; expected one of them: leave one out")
    filters = {"dataset": dataset, "metric": metric, "method": method, "table": table, "setting": setting, "source": source}
    values = published_values(**filters)
    if as_csv:
        typer.echo(_csv(values), nl=False)
        return
    narrow = any((method, table, source))
    choices = () if narrow else published_choices(dataset=dataset, metric=metric, setting=setting)
    lines = _lines(values, choices) if any(filters.values()) else _summary(library())
    told = {"sources": dict(library().sources), "values": [each.to_json() for each in values]}
    show("\n".join(lines), {**told, "choices": [asdict(each) for each in choices]}, as_json)


def _csv(values: Sequence["PublishedValue"]) -> str:
    stream = io.StringIO()
    rows = [{**each.to_json(), "caveats": " | ".join(each.caveats)} for each in values]
    fields = ("source", "table", "dataset", "setting", "method", "metric", "stat", "value", "unit", "printed", "printed_unit")
    writer = csv.DictWriter(stream, (*fields, "kept_out", "caveats"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _summary(known: "Library") -> list[str]:
    """What there is, by source and data set."""
    counts = Counter((each.source, each.dataset) for each in known.values)
    lines = [
        f"{len(known.values)} numbers from {len(known.sources)} sources; choose some: --dataset, --metric, --method, --source"
    ]
    for source, title in known.sources.items():
        mine = ", ".join(f"{dataset} {count}" for (name, dataset), count in counts.items() if name == source)
        lines += [f"{source}: {title}", f"  {mine}"]
    return lines


def _lines(values: Sequence["PublishedValue"], choices: Sequence["PublishedChoice"]) -> list[str]:
    """One line per number, in columns; names, and the caveats numbered, below."""
    if not values and not choices:
        return ["nothing is published that fits all of these; leave one out"]
    names = [f"{each.dataset}, {each.source} table {each.table}, {each.metric}, {each.setting}: {each.value}" for each in choices]
    return "\n\n".join("\n".join(block) for block in (_columns(values), names) if block).splitlines()


def _columns(values: Sequence["PublishedValue"]) -> list[str]:
    if not values:
        return []
    notes: dict[str, int] = {}
    rows = [("data set", "method", "setting", "metric", "value", "where", "notes")]
    for each in values:
        marks = [notes.setdefault(text, len(notes) + 1) for text in _notes(each)]
        name = each.metric if each.stat == "value" else f"{each.metric} {each.stat}"
        rows.append((each.dataset, each.method, each.setting, name, _number(each), each.where, _marks(marks)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, "", *(f"[{number}] {text}" for text, number in notes.items())] if notes else lines


def _notes(value: "PublishedValue") -> list[str]:
    from flawsmith.report.published_averages import doubt_of

    own = [f"stands beside no measured value: {value.kept_out}"] if value.kept_out else []
    return [text for text in (*own, doubt_of(value), *value.caveats) if text]


def _marks(numbers: Sequence[int]) -> str:
    return " ".join(f"[{number}]" for number in numbers)


def _number(value: "PublishedValue") -> str:
    if value.unit not in ("fraction", "r", "p", "score"):
        return f"{value.value:g} {value.unit}"
    return f"{value.value:.4f}" if abs(value.value) >= 0.001 or value.value == 0 else f"{value.value:.3g}"
