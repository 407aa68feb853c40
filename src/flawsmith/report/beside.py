"""What papers print for the data and the detector of an evaluation, beside what was measured, with what differs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from flawsmith.inspection.evaluation import Evaluation
from flawsmith.inspection.protocols import FAMILIES, RELEASED, Family
from flawsmith.report.page import Block, Section, Table, Text
from flawsmith.report.published import CATEGORIES, PublishedValue, dataset_name, plain, published_values
from flawsmith.report.results import Measured, Published, results_table

MOST_ROWS = 12
DIFFERENT_SPLITS: Mapping[tuple[str, str], str] = {
    ("MTD", "ASBench"): (
        "its split: 902 good images to train on, 50 good and 392 defective ones to test on; which 50 is not published. One tile "
        "was photographed under about six exposures, and the split does not heed it: near-copies of training images are tested on"
    ),
    ("MTD", "UniADC"): (
        "its split files are not released; one tile was photographed under about six exposures, and published splits of these "
        "images do not heed it: near-copies of training images may be tested on"
    ),
}
"""(data set, source) → what is known of its split."""

UNPUBLISHED = ("mvtec-fs-original",)
"""Data sets of a published layout in whose form nobody measured: UniADC's numbers are of its repack, with other images."""

OTHER_CLASSES = ("mvtec-folders", "wfdd")
"""Layouts whose defects are the names of folders: other classes than those that papers classify under the data set's name."""

REPACKED: Mapping[tuple[str, str], str] = {
    ("wfdd", "UniADC"): "its repack of WFDD (layout wfdd-uniadc), not on this form of the data",
}
"""(layout, source) → on which other form of the data it was measured."""

DETECTOR_FAMILIES: Mapping[tuple[str, str], str] = {
    ("ASBench", "memseg"): "memseg",
    ("ASBench", "draem"): "draem",
    ("ASBench", "destseg"): "destseg",
    ("ASBench", "anomalydiffusion"): "anomalydiffusion",
    ("SeaS-supp", "lfd"): "lfd",
}
"""(source, detector) → how it was evaluated; UniADC evaluates all alike."""


def published_sections(evaluation: Evaluation) -> tuple[Section, ...]:
    """Published values beside ours, grey, with what differs; nothing where the data set is in no paper that we know."""
    dataset = dataset_of(evaluation)
    if not dataset:
        return ()
    command = f"flawsmith published --dataset {shlex.quote(dataset)}"
    count = len(published_rows(evaluation, dataset))
    if not count:
        none = Text(f"No paper that we know prints {evaluation.detector} on {dataset}. Other methods: {command}")
        return (Section("Published values", (none,)),)
    more = f"{count - MOST_ROWS} more rows, and all" if count > MOST_ROWS else "All"
    blocks: tuple[Block, ...] = (
        Text("Grey values are printed in papers. They were measured on other images or in another way: read the notes first."),
        evaluation_table(evaluation, narrow=True),
        Text(f"{more} that is published for {dataset}: {command}", "note"),
    )
    return (Section("Published values", blocks),)


def evaluation_table(evaluation: Evaluation, *, narrow: bool = False, chosen: Iterable[str] = ()) -> Table:
    """The evaluation as one row, with the published rows that belong beside it.

    Args:
        evaluation: ours.
        narrow: only the columns that published rows have.
        chosen: what was not measured by default, such as `resolution 256`, for the note of our row.
    """
    dataset = dataset_of(evaluation)
    shown = published_rows(evaluation, dataset)[:MOST_ROWS] if dataset else []
    how = ", ".join((f"measured here, protocol {evaluation.protocol_told}", *chosen))
    mine = Measured(evaluation.name, evaluation.metrics, how)
    printed = {metric for row in shown for metric in row.values}
    metrics = [metric for metric in evaluation.metrics if metric in printed or not narrow]
    return results_table([mine], shown, metrics=metrics)


def dataset_of(evaluation: Evaluation) -> str:
    """What the papers call the data set; empty where a general layout read the images, whatever their folder is called."""
    return "" if evaluation.dataset in UNPUBLISHED else dataset_name(layout_of(evaluation))


def layout_of(evaluation: Evaluation) -> str:
    """The name of the layout that read the images, without its options."""
    return evaluation.layout.partition(":")[0]


def published_rows(evaluation: Evaluation, dataset: str) -> list[Published]:
    """One row per paper, table, setting and method that is about our detector, or about its only synthesizer."""
    groups: dict[tuple[str, ...], list[PublishedValue]] = {}
    for value in published_values(dataset=dataset):
        if _comparable(value, evaluation) and _concerns(value, evaluation):
            groups.setdefault((value.source, value.table, value.setting, value.method), []).append(value)
    return [_row(values, evaluation, dataset) for values in groups.values()]


def _comparable(value: PublishedValue, evaluation: Evaluation) -> bool:
    of_other_classes = value.metric.startswith("cls") and layout_of(evaluation) in OTHER_CLASSES
    return value.metric in evaluation.metrics and value.stat in ("value", "mean") and not of_other_classes


def _concerns(value: PublishedValue, evaluation: Evaluation) -> bool:
    if plain(value.detector) == plain(evaluation.detector):
        return True
    members = evaluation.recipe.get("synth") or ()
    names = {plain(str(each["method"]["name"])) for each in members if isinstance(each, Mapping) and "method" in each}
    return bool(value.synthesis) and names == {plain(value.synthesis)}


def _row(values: list[PublishedValue], evaluation: Evaluation, dataset: str) -> Published:
    first = values[0]
    setting = first.setting.replace("_", " ").replace(";", "; ")
    cells = {value.metric: value for value in values}
    told = f"{first.detector or 'several detectors'}, defects by {first.synthesis}"
    name = told if first.synthesis and not first.method.startswith(first.detector or "several") else first.method
    return Published(name, cells, f"{first.where}; {setting}", differences_of(first, evaluation, dataset))


def differences_of(value: PublishedValue, evaluation: Evaluation, dataset: str) -> tuple[str, ...]:
    """In which ways a published row was not measured as ours."""
    found = []
    if (count := CATEGORIES[dataset]) > 1:
        found.append(f"a mean over the {count} categories of {dataset}; ours is of {evaluation.product} alone")
    if split := DIFFERENT_SPLITS.get((dataset, value.source)):
        found.append(split)
    if repack := REPACKED.get((layout_of(evaluation), value.source)):
        found.append(f"measured on {repack}")
    return (*found, *_evaluated_otherwise(value, evaluation))


def _evaluated_otherwise(value: PublishedValue, evaluation: Evaluation) -> Iterable[str]:
    family = family_of(value)
    if family is None:
        return
    records = [each.record for each in evaluation.metrics.values()]
    if any(record.details.get(RELEASED, "").startswith(f"{family.name}:") for record in records):
        return
    geometry = family.geometry
    how = f"mask rule {geometry.mask_rule}, image score {geometry.image_score}, AUPRO {geometry.pro}"
    note = f" ({family.notes})" if family.notes else ""
    yield f"evaluated by {family.code}: at {geometry.resolution} pixels, {how}{note}; ours {_ours(evaluation)}"


def _ours(evaluation: Evaluation) -> str:
    record = next((value.record for value in evaluation.metrics.values() if value.record.resolution), None)
    if record is None:
        return f"by protocol {evaluation.protocol}"
    size = "native size" if record.resolution == "native" else f"{record.resolution} pixels"
    return f"at {size}, protocol {evaluation.protocol}"


def family_of(value: PublishedValue) -> Family | None:
    """How a published value was evaluated, where that is known."""
    name = "uniadc" if value.source == "UniADC" else DETECTOR_FAMILIES.get((value.source, plain(value.detector)), "")
    return FAMILIES.get(name)
