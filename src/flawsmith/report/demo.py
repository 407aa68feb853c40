"""The demonstration: the main job on real photographs of solar cells, from good cells alone to inspectors with a report.

ELPV (Buerhop-Lutz et al. 2018; Deitsch et al. 2019, 2021): electroluminescence images of photovoltaic cells, with labels of whole
images. The last run repeats the first on a random split, to show what neighbouring cells on both sides do to a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.core.files import new_folder
from flawsmith.core.recipes import TrainingRecipe
from flawsmith.core.requests import Anomaly
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.data.splits import make_split
from flawsmith.inspection.evaluation import Evaluation, evaluate
from flawsmith.inspection.training import recipe_of, train_recipe
from flawsmith.report.html import comparison_section, evaluation_section, synthetic_section, write_demo_report, write_report
from flawsmith.report.outcomes import Confusion
from flawsmith.report.page import Section, Text
from flawsmith.synthesis.sets import synthesize

PRODUCT = "mono"
PAGE = "report.html"
METHODS = ("draem", "cutpaste", "cutpaste_scar")
MIX = ",".join(METHODS)
GALLERY = 6
"""Synthetic defects shown of each method."""

OPENING = (
    "An inspector learns from {normals} photographs of good solar cells, some of them held out for its threshold, and is tested "
    "on other blocks of 60 consecutive cells, good and defective. No defective cell was seen in training."
)
SYNTHETIC = "Defects made on good cells; memseg learns from a mix of these three methods."
COMPARED = (
    "All rows draw the same number of good cells, with the same seed and threshold rule. The random split puts neighbouring "
    "cells of one module into training and test, so its figure says nothing about a new module: it is here as a warning, not as "
    "a result. One seed is one draw: over five, patchcore reaches 0.941 ± 0.032 on whole blocks and 0.956 ± 0.005 on random "
    "splits (python -m benchmarks.accuracy elpv:mono --seeds 0-4 --shots 150, and the same with --split random)."
)


@dataclass(frozen=True)
class Trial:
    """One row of the demonstration."""

    name: str
    detector: str
    split: str
    synth: str = ""
    steps: int | None = None
    text: str = ""


@dataclass(frozen=True)
class DemoResult:
    """Where the report is, and its table."""

    report: Path
    rows: tuple[dict[str, Any], ...]


def trials_of(steps: int) -> tuple[Trial, ...]:
    """The rows, in order."""
    return (
        Trial("patchcore", "patchcore", "elpv-blocks", text="A memory of patches of good cells; it needs no defects."),
        Trial(
            "memseg on a mix",
            "memseg",
            "elpv-blocks",
            MIX,
            steps,
            "A segmentation network that learned from the synthetic defects above.",
        ),
        Trial("patchcore, random split (leaks)", "patchcore", "random", text="The first inspector again, on a split that leaks."),
    )


def run_demo(out: Path, *, normals: int = 150, steps: int = 300, seed: int = 0, overwrite: bool = False) -> DemoResult:
    """Train and evaluate the rows, and write `report.html`, a report and an inspector for each row.

    Args:
        out: a new folder.
        normals: good cells to learn from, some of them held out for the threshold.
        steps: of memseg.
        seed: root of every draw.
        overwrite: replace the demonstration at `out`.

    Raises:
        DataError: the package elpv-dataset is not installed, or has fewer good cells than asked for.
        OutputError: `out` is taken or cannot be written.
    """
    data = load("elpv", "elpv", product=PRODUCT)
    trials = trials_of(steps)
    with new_folder(out, replaceable=PAGE if overwrite else None) as folder:
        evaluations = [_run(data, trial, folder, normals, seed) for trial in trials]
        sections = [
            comparison_section("What it reaches", evaluations, COMPARED, allow=("split",)),
            synthetic_section("Synthetic defects", _gallery(data, seed), SYNTHETIC),
            *_sections(trials, evaluations),
        ]
        opening = (*_verdicts(trials, evaluations), Text(OPENING.format(normals=normals)))
        subtitle = f"{data.name}, {PRODUCT}: {data.licence}"
        write_demo_report(folder / PAGE, sections, title="Flawsmith on solar cells", subtitle=subtitle, opening=opening)
    return DemoResult(out / PAGE, tuple(_row(evaluation) for evaluation in evaluations))


def _recipe(trial: Trial, normals: int, seed: int) -> TrainingRecipe:
    return recipe_of(
        trial.detector,
        trial.synth,
        product=PRODUCT,
        layout="elpv",
        split=trial.split,
        shots=normals,
        steps=trial.steps,
        seed=seed,
    )


def _run(data: Dataset, trial: Trial, folder: Path, normals: int, seed: int) -> Evaluation:
    slug = trial.name.split(",")[0].replace(" ", "_") + ("_random" if trial.split == "random" else "")
    inspector = train_recipe(data, _recipe(trial, normals, seed), folder / "inspectors" / slug)
    result = evaluate(inspector, data, name=trial.name, command=_command(trial, normals, seed))
    write_report(folder / f"{slug}.html", result)
    return result


def _command(trial: Trial, normals: int, seed: int) -> str:
    synth = f" --synth {trial.synth} --steps {trial.steps}" if trial.synth else ""
    train = (
        f"flawsmith train elpv --layout elpv --product {PRODUCT} --detector {trial.detector}{synth} "
        f"--split {trial.split} --shots {normals} --seed {seed} --out inspector"
    )
    return f"{train}\nflawsmith evaluate inspector elpv --layout elpv --report report.html"


def _gallery(data: Dataset, seed: int) -> dict[str, list[Anomaly]]:
    trained = make_split(data, "elpv-blocks", seed=seed).apply(data).of(split="train")
    return {method: synthesize(trained, method, GALLERY, seed=seed)[:] for method in METHODS}


def _verdicts(trials: Sequence[Trial], evaluations: Sequence[Evaluation]) -> list[Text]:
    """What each inspector finds, in words, where the split is an honest one."""
    honest = [evaluation for trial, evaluation in zip(trials, evaluations, strict=True) if trial.split != "random"]
    told = [(e.name, Confusion.of(e.results, e.threshold).sentence()) for e in honest]
    return [Text(f"{name}: {sentence[0].lower()}{sentence[1:]}", "verdict") for name, sentence in told]


def _sections(trials: Sequence[Trial], evaluations: Sequence[Evaluation]) -> list[Section]:
    return [
        evaluation_section(trial.name, evaluation, trial.text, prefix=f"trial-{number}", most=3)
        for number, (trial, evaluation) in enumerate(zip(trials, evaluations, strict=True))
    ]


def _row(evaluation: Evaluation) -> dict[str, Any]:
    metrics = {metric: value.value for metric, value in evaluation.metrics.items() if value.defined}
    return {"name": evaluation.name, "split": evaluation.split["policy"], **metrics, **evaluation.timings}
