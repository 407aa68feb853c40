"""The report of an evaluation, and pages of several: one HTML file that opens offline, the verdict first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flawsmith import __version__
from flawsmith.core.errors import OutputError
from flawsmith.core.files import refuse_overlap
from flawsmith.core.requests import Anomaly
from flawsmith.inspection.evaluation import Evaluation
from flawsmith.metrics import Interval, wilson
from flawsmith.report.beside import published_sections
from flawsmith.report.charts import curve_figures, score_histogram
from flawsmith.report.examples import OUTLINE_TEXT, report_scale, result_gallery, synthetic_gallery
from flawsmith.report.outcomes import Confusion, Examples
from flawsmith.report.page import Block, Code, Details, Fact, Facts, Page, Section, Table, Text, Warnings, write_page
from flawsmith.report.tables import (
    chance_of,
    comparison_table,
    confusion_table,
    defect_table,
    mistakes_table,
    protocol_table,
)
from flawsmith.report.wording import DASH, decimal, interval_of, significant, title_of, why

PROTOCOLS = {
    "honest": "Nothing of the test set touched training, selection, threshold or scores.",
    "as_released": "Measured as the original code does, to compare with its published numbers; not a forecast for new parts.",
}
MADE = "Made by flawsmith"
FOOTER = f"{MADE} {__version__}. This file holds everything it shows and needs no network."


def write_report(path: Path, evaluation: Evaluation) -> Path:
    """Write the report of one evaluation.

    Args:
        path: the HTML file.
        evaluation: at least one result.

    Returns:
        `path`.

    Raises:
        OutputError: it cannot be written.
    """
    return write_page(path, evaluation_page(evaluation))


def refuse_report(path: Path, sources: Sequence[Path], *, overwrite: bool = False) -> None:
    """Refuse a place for a report that would cost the user something.

    Args:
        path: of the report.
        sources: folders that are read, in which no report belongs.
        overwrite: an earlier report of ours may be replaced; nothing else ever is.

    Raises:
        OutputError: `path` does not end in .html, lies in one of `sources`, or is taken.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"the report {path} has the suffix {path.suffix!r}; expected .html: choose another --report")
    refuse_overlap(path, sources, "--report")
    if not path.exists():
        return
    if not overwrite:
        raise OutputError(f"{path} exists; expected a new name: choose another --report or add --overwrite")
    if not path.is_file() or MADE not in path.read_text(encoding="utf-8", errors="replace"):
        raise OutputError(f"{path} is no report of ours, so it is not replaced; choose another --report")


def write_demo_report(
    path: Path, sections: Sequence[Section], *, title: str, subtitle: str = "", opening: Sequence[Block] = ()
) -> Path:
    """Write a page of sections, such as those that the functions of this module make. Returns `path`.

    Raises:
        OutputError: it cannot be written.
    """
    return write_page(path, Page(title, subtitle, tuple(opening), tuple(sections), FOOTER))


def evaluation_page(evaluation: Evaluation) -> Page:
    """Everything about one evaluation."""
    where = evaluation.dataset if evaluation.product == evaluation.dataset else f"{evaluation.product} of {evaluation.dataset}"
    return Page(
        title=evaluation.name,
        subtitle=f"{evaluation.detector} on {where}, {len(evaluation.results)} test images",
        opening=verdict_blocks(evaluation),
        sections=(
            seen_section(evaluation),
            mistakes_section(evaluation),
            scores_section(evaluation),
            *defect_sections(evaluation),
            *published_sections(evaluation),
            measured_section(evaluation),
            made_section(evaluation),
        ),
        footer=FOOTER,
    )


def verdict_blocks(evaluation: Evaluation) -> tuple[Block, ...]:
    """The verdict in words, key figures, and what a reader must know."""
    counts = Confusion.of(evaluation.results, evaluation.threshold)
    source = f"Threshold {significant(evaluation.threshold)}, from {evaluation.threshold_source}."
    promise = "" if evaluation.split.get("flags") else promise_of(evaluation)
    if evaluation.protocol_told != evaluation.protocol:
        promise = f"Protocol {evaluation.protocol_told}. {promise}"
    return (
        Text(counts.sentence(), "verdict"),
        Text(f"{source} {promise}".rstrip()),
        Warnings(warnings_of(evaluation)),
        Facts(tuple(_facts(evaluation, counts))),
    )


def promise_of(evaluation: Evaluation) -> str:
    """What the protocol promises, and what the split takes away from it."""
    promise = PROTOCOLS.get(evaluation.protocol, evaluation.protocol)
    leaks = any(str(flag).startswith("leaks") for flag in evaluation.split.get("flags", ()))
    return f"{promise} But the split leaks." if leaks else promise


def warnings_of(evaluation: Evaluation) -> tuple[str, ...]:
    """Warnings of the evaluation and flags of its split, each once."""
    told = [str(flag) for flag in evaluation.split.get("flags", ())]
    others = [warning for warning in evaluation.warnings if warning.removeprefix("the split ") not in told]
    return tuple(dict.fromkeys((*others, *(flag if flag.endswith(".") else f"The split {flag}." for flag in told))))


def _facts(evaluation: Evaluation, counts: Confusion) -> list[Fact]:
    facts = [
        Fact("Defective parts found", *_share(counts.found, counts.anomalies), "good"),
        Fact("Good parts called defective", *_share(counts.alarms, counts.normals), "defect"),
    ]
    masked = any(value.defined for metric, value in evaluation.metrics.items() if metric.startswith("pixel"))
    for metric in ("image_auroc", "pixel_ap", "pixel_aupro") if masked else ("image_auroc", "image_ap", "image_f1max"):
        if value := evaluation.metrics.get(metric):
            interval = f"95% interval {interval_of(value.interval)}; " if value.interval else ""
            note = why(value) or f"{interval}guessing gives {chance_of(value)}"
            facts.append(Fact(title_of(metric), decimal(value.value), note))
    if (speed := evaluation.timings.get("predict_ms_per_image")) is not None:
        training = evaluation.timings.get("train_seconds")
        facts.append(Fact("Time per image", f"{speed:.0f} ms", f"training took {training:.0f} s" if training is not None else ""))
    return facts


def _share(part: int, whole: int) -> tuple[str, str]:
    if not whole:
        return DASH, "none in the test set"
    interval: Interval = wilson(part, whole)
    return f"{part / whole:.0%}", f"{part} of {whole}; 95% interval {interval.low:.0%}{DASH}{interval.high:.0%}"


def seen_section(evaluation: Evaluation, most: int = 6) -> Section:
    """What the inspector sees: the defects it is surest of, and some drawn at random."""
    examples, scale = Examples.of(evaluation, most), report_scale(evaluation)
    blocks: list[Block] = []
    if examples.hits:
        caption = f"The highest scores of each kind of defect. {_truth_text(evaluation)}"
        blocks.append(
            result_gallery(examples.hits, scale, evaluation.threshold, heading="Surest finds", caption=caption, legend=True)
        )
    if examples.drawn:
        caption = "Defective parts drawn at random from the others, found or not."
        blocks.append(result_gallery(examples.drawn, scale, evaluation.threshold, heading="Drawn at random", caption=caption))
    return Section("What it sees", tuple(blocks) or (Text("No defective part was found."),))


def _truth_text(evaluation: Evaluation) -> str:
    masked = any(r.sample.has_mask for r in evaluation.results if not r.sample.is_normal)
    return OUTLINE_TEXT if masked else "These data have no masks, so the true extent is not shown."


def mistakes_section(evaluation: Evaluation, most: int = 6) -> Section:
    """Where the inspector errs or nearly does."""
    examples, scale = Examples.of(evaluation, most), report_scale(evaluation)
    counts = Confusion.of(evaluation.results, evaluation.threshold)
    blocks: list[Block] = [confusion_table(counts)]
    for results, heading, wrong in (
        (examples.lowest, "Defective parts with the lowest scores", counts.missed),
        (examples.highest, "Good parts with the highest scores", counts.alarms),
    ):
        if results:
            caption = "" if wrong else "All on the right side of the threshold; these come nearest to the other."
            blocks.append(result_gallery(results, scale, evaluation.threshold, heading=heading, caption=caption))
    if counts.missed + counts.alarms:
        table = mistakes_table(evaluation.results, evaluation.threshold)
        blocks.append(Details(f"All {counts.missed + counts.alarms} wrong calls", (table,)))
    return Section("Worst mistakes", tuple(blocks))


def scores_section(evaluation: Evaluation, prefix: str = "") -> Section:
    """Histogram of scores and curves. `prefix` keeps charts of several evaluations on one page apart."""
    blocks: list[Block] = [score_histogram(evaluation, prefix)]
    curves = curve_figures(evaluation, prefix)
    blocks.append(curves or Text("Curves need both good and defective parts."))
    return Section("Scores and curves", tuple(blocks))


def defect_sections(evaluation: Evaluation) -> tuple[Section, ...]:
    """The table by kind of defect; nothing where there are no defects."""
    if not evaluation.per_defect:
        return ()
    note = Text("Each kind against all good parts. “Found” is at the threshold in use.", "note")
    return (Section("By kind of defect", (defect_table(evaluation), note)),)


def measured_section(evaluation: Evaluation) -> Section:
    """The protocol record of each metric, the threshold and the split."""
    split = Table.of_pairs([(_words(key), _plain(value)) for key, value in evaluation.split.items()])
    threshold = Table.of_pairs(
        [
            ("Threshold", f"{evaluation.threshold:.6g}"),
            ("From", evaluation.threshold_source),
            ("Protocol", f"{evaluation.protocol_told}: {promise_of(evaluation)}"),
        ]
    )
    return Section(
        "How it was measured",
        (
            protocol_table(evaluation.metrics),
            Text("Small figures below metrics are 95% bootstrap intervals over images. A dash means undefined.", "note"),
            threshold,
            Details("The split", (split,)),
        ),
    )


def made_section(evaluation: Evaluation) -> Section:
    """The command, the recipe, the machine and the licence."""
    timings = [(_words(name), f"{value:.4g}") for name, value in evaluation.timings.items()]
    blocks: list[Block] = []
    if evaluation.command:
        blocks += [Text("This command makes it again:"), Code(evaluation.command)]
    blocks += [
        Details("Recipe of the training", (Code(recipe_text(evaluation.recipe)),)),
        Details("Machine, versions and times", (Table.of_pairs([*evaluation.environment.items(), *timings]),)),
        Text(f"Data: {evaluation.licence or 'no licence stated'}", "note"),
    ]
    return Section("How it was made", tuple(blocks))


def comparison_section(title: str, evaluations: Sequence[Evaluation], text: str = "", allow: Sequence[str] = ()) -> Section:
    """Several evaluations in one table.

    Args:
        title: of the section.
        evaluations: one per row.
        text: above the table.
        allow: fields of their records in which they may differ; the table says which do.

    Raises:
        BadParameter: their protocol records differ.
    """
    note = Text("Small figures are 95% bootstrap intervals over images.", "note")
    lead = (Text(text),) if text else ()
    return Section(title, (*lead, comparison_table(evaluations, allow=allow), note))


def synthetic_section(title: str, anomalies: Mapping[str, Sequence[Anomaly]], text: str = "") -> Section:
    """Synthetic defects, one gallery per method."""
    lead = (Text(text),) if text else ()
    return Section(title, (*lead, *(synthetic_gallery(items, heading=name) for name, items in anomalies.items())))


def evaluation_section(title: str, evaluation: Evaluation, text: str = "", *, prefix: str, most: int = 4) -> Section:
    """One evaluation on a page of several: verdict, pictures and histogram. `prefix` must differ between evaluations."""
    lead = (Text(text),) if text else ()
    verdict = [block for block in verdict_blocks(evaluation) if not isinstance(block, Facts)]
    seen, errs = seen_section(evaluation, most), mistakes_section(evaluation, most)
    measured = Details("How it was measured and made", (*measured_section(evaluation).blocks, *made_section(evaluation).blocks))
    blocks = (*lead, *verdict, *seen.blocks, *errs.blocks, score_histogram(evaluation, prefix), measured)
    return Section(title, blocks)


def recipe_text(recipe: Mapping[str, Any]) -> str:
    """A recipe as YAML."""
    text: str = yaml.safe_dump(json.loads(json.dumps(dict(recipe), default=str)), sort_keys=False, allow_unicode=True, width=100)
    return text.rstrip()


def _words(key: str) -> str:
    return str(key).replace("_", " ")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_plain(each) for each in value) or DASH
    return DASH if value is None or value == "" else str(value)
