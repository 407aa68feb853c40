"""`flawsmith train`: from a folder of good photographs to an inspector."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flawsmith.cli.options import (
    DEFECT_SHOTS,
    SPLITS,
    AsJson,
    DataFolder,
    Debug,
    ForegroundRule,
    LayoutName,
    Overwrite,
    ProductName,
    RootSeed,
    ScaleRule,
    Settings,
)
from flawsmith.cli.output import show, typed_command

Out = Annotated[Path, typer.Option("--out", metavar="MODEL", help="Folder to write the inspector to.", show_default=False)]
DetectorName = Annotated[str, typer.Option("--detector", help="Who learns; `flawsmith methods` lists them.")]
Synth = Annotated[
    str, typer.Option("--synth", metavar="NAME[:WEIGHT],…", help="Who makes the anomalies; default: the detector's own choice.")
]
MixingPolicy = Annotated[
    str,
    typer.Option(
        "--mixing",
        help="Of several methods: choice, each anomaly's drawn by weight; concat, each meets every normal once per epoch.",
    ),
]
Ratio = Annotated[float, typer.Option("--ratio", help="Share of anomalies among the training items, 0 to 1.")]
RatioMode = Annotated[str, typer.Option("--ratio-mode", help="bernoulli: a coin for each item; stratified: exact all along.")]
Rotate = Annotated[str, typer.Option("--rotation", help="Of training images before synthesis: none, draem, slight, full.")]
Photometry = Annotated[float, typer.Option("--photometry", help="Strength of brightness and contrast jitter, 0 to 1.")]
Shots = Annotated[
    str | None,
    typer.Option(
        "--shots",
        metavar="K",
        help="Use only so many normals: a number, drawn by the seed, or first:K in file order.",
        show_default=False,
    ),
]
DefectShots = Annotated[
    str,
    typer.Option(
        "--defect-shots",
        metavar="K",
        help=f"Learn from so many real anomalies of each defect, which then leave the test: {DEFECT_SHOTS}.",
    ),
]
RealShare = Annotated[
    float | None,
    typer.Option(
        "--real-share",
        help="Share of the anomalies that are real ones; default: half, or all without --synth.",
        show_default=False,
    ),
]
SplitPolicy = Annotated[str, typer.Option("--split", metavar="POLICY", help=f"Who is trained on and tested: {SPLITS}.")]
Steps = Annotated[int | None, typer.Option("--steps", help="Optimiser steps; default: the detector's own.", show_default=False)]
Seconds = Annotated[float | None, typer.Option("--seconds", help="Stop training after so long.", show_default=False)]
FalseAlarms = Annotated[float, typer.Option("--false-alarms", help="Accepted share of good parts called defective.")]


def train(
    folder: DataFolder,
    out: Out,
    detector: DetectorName = "patchcore",
    synth: Synth = "",
    mixing: MixingPolicy = "choice",
    foreground: ForegroundRule = None,
    ratio: Ratio = 0.5,
    ratio_mode: RatioMode = "bernoulli",
    rotation: Rotate = "none",
    photometry: Photometry = 0.0,
    shots: Shots = None,
    defect_shots: DefectShots = "0",
    real_share: RealShare = None,
    product: ProductName = None,
    split: SplitPolicy = "auto",
    steps: Steps = None,
    seconds: Seconds = None,
    false_alarms: FalseAlarms = 0.05,
    settings: Settings = None,
    layout: LayoutName = "auto",
    scale: ScaleRule = None,
    seed: RootSeed = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train an inspector on good photographs. If it is interrupted, the same command goes on where it stopped.

    Example: flawsmith train tiles/ --detector memseg --synth draem,cutpaste --out models/tiles
    """
    from flawsmith.data import load
    from flawsmith.data.layouts import with_scale
    from flawsmith.data.splits import record_of
    from flawsmith.inspection.training import recipe_of, train_recipe

    given = shlex.quote(str(folder)) + ("" if layout == "auto" else f" --layout {shlex.quote(layout)}")
    layout = with_scale(layout, scale)
    recipe = recipe_of(
        detector,
        synth,
        settings or (),
        mixing=mixing,
        foreground=foreground,
        ratio=ratio,
        ratio_mode=ratio_mode,
        rotation=rotation,
        photometry=photometry,
        shots=shots,
        defect_shots=defect_shots,
        real_share=real_share,
        product=product,
        split=split,
        steps=steps,
        seconds=seconds,
        false_alarms=false_alarms,
        layout=layout,
        seed=seed,
    )
    inspector = train_recipe(load(folder, layout), recipe, out, overwrite=overwrite, command=typed_command())
    document = {
        "out": str(out),
        "split": record_of(inspector.split),
        "threshold": inspector.threshold.to_json(),
        "metrics": dict(inspector.metrics),
        "warnings": list(inspector.origin.warnings),
    }
    warnings = "".join(f"\nbeware: {warning}" for warning in inspector.origin.warnings)
    sides = inspector.split.counts()
    tested = sides["test"]
    told = ", ".join(f"{place} {count}" for place, count in sides.items() if count)
    model = shlex.quote(str(out))
    then = f"evaluate {model} {given} --report report.html" if tested else f"predict {model} IMAGES --out findings"
    lines = (
        f"{out}: {detector} trained in {inspector.metrics['train_seconds']:.1f} s; threshold {inspector.threshold.value:.4g}, "
        f"{inspector.threshold.source}\nsplit {inspector.split.policy}: {told}{warnings}\nnext: flawsmith {then}"
    )
    show(lines, document, as_json)
