"""`flawsmith synth`: from a folder of good photographs to a labelled set of synthetic anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from flawsmith.cli.output import show

if TYPE_CHECKING:
    from flawsmith.synthesis.sets import SyntheticSet
    from flawsmith.synthesis.writing import WrittenSet

Out = Annotated[Path, typer.Option("--out", metavar="OUT", help="Folder to write the set to, outside DIR.", show_default=False)]
Synth = Annotated[
    str, typer.Option("--synth", metavar="NAME[:WEIGHT],…", help="Who makes the anomalies; `flawsmith methods` lists them.")
]
Number = Annotated[int | None, typer.Option("-n", "--number", help="How many anomalies, over all products.", show_default=False)]
Size = Annotated[
    int | None,
    typer.Option("--size", help="Resize normals to squares of this side first; default: as they are.", show_default=False),
]
Workers = Annotated[int, typer.Option("--workers", help="Processes that make images; 0: this one alone. Same bytes with any.")]
Defect = Annotated[str | None, typer.Option("--defect", help="Name of the defect; default: the method's.", show_default=False)]
SplitPolicy = Annotated[
    str,
    typer.Option(
        "--split",
        metavar="POLICY",
        help="Whose normals to start from: those that train learns from with the same --split and --seed. Of a folder of good "
        "pictures alone, auto keeps a fifth for the test. none: every normal outside the folder's own test side. Otherwise: "
        f"{SPLITS}.",
    ),
]
DefectShots = Annotated[
    str,
    typer.Option(
        "--defect-shots",
        metavar="K",
        help="Real anomalies of each defect for the methods that use them, such as cutpaste_by_mask: those that train draws with "
        f"the same --split, --seed and --defect-shots, and does not test on. {DEFECT_SHOTS[0].upper()}{DEFECT_SHOTS[1:]}.",
    ),
]
MixingPolicy = Annotated[
    str,
    typer.Option(
        "--mixing",
        help="Of several methods: choice, each image's drawn by weight; concat, -n images of each, over the normals in order.",
    ),
]
MaskShape = Annotated[
    str | None,
    typer.Option(
        "--mask-shape",
        metavar="WORD,…",
        help="Draw a mask of these families for each image and put the defect there: rectangle, line, polygon, ellipse, "
        "hollow_ellipse, brush, perlin, foreground or any, with a size as in line:small (docs/masks.md). Default: the method "
        "decides where.",
        show_default=False,
    ),
]
Clean = Annotated[bool, typer.Option("--clean", help="Write each picture without its defect too.")]
Replay = Annotated[
    str | None,
    typer.Option(
        "--replay",
        metavar="LINE",
        help="Make one image again: FILE:INDEX, as in set/manifest.jsonl:17, or the line itself.",
        show_default=False,
    ),
]

BESIDE_REPLAY = ("folder", "out", "replay", "layout", "scale", "clean", "overwrite", "as_json", "debug")
"""What says something beside a line: the rest is in the line."""


def synth(
    context: typer.Context,
    folder: DataFolder,
    out: Out,
    synth: Synth = "draem",
    number: Number = None,
    size: Size = None,
    workers: Workers = 0,
    settings: Settings = None,
    defect: Defect = None,
    seed: RootSeed = 0,
    layout: LayoutName = "auto",
    scale: ScaleRule = None,
    product: ProductName = None,
    split: SplitPolicy = "auto",
    defect_shots: DefectShots = "0",
    mixing: MixingPolicy = "choice",
    mask_shape: MaskShape = None,
    foreground: ForegroundRule = None,
    clean: Clean = False,
    replay: Replay = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make labelled anomalies from good photographs. If it is interrupted, the same command goes on where it stopped.

    Example: flawsmith synth tiles/ --synth draem:2,cutpaste:1 -n 500 --out tiles_synthetic
    """
    from flawsmith.core.errors import UsageError
    from flawsmith.data import load
    from flawsmith.data.layouts import with_scale
    from flawsmith.synthesis.sets import synthesize
    from flawsmith.synthesis.writing import write_set

    layout = with_scale(layout, scale)
    if replay is not None:
        _refuse_beside_replay(context)
        _replay(replay, folder, layout, out, clean, overwrite, as_json)
        return
    if number is None:
        raise UsageError("-n is missing; expected how many anomalies to make, as in -n 500")
    made = synthesize(
        load(folder, layout),
        synth,
        number,
        seed=seed,
        size=size,
        product=product,
        defect=defect,
        split=split,
        defect_shots=defect_shots,
        mixing=mixing,
        mask_shape=mask_shape,
        foreground=foreground,
        settings=settings or (),
    )
    written = write_set(made, out, workers=workers, clean=clean, overwrite=overwrite)
    show(_lines(made, written), _document(made, written), as_json)


def _refuse_beside_replay(context: typer.Context) -> None:
    from flawsmith.core.errors import UsageError

    typed = (p for p in context.command.params if (s := context.get_parameter_source(p.name or "")) and s.name == "COMMANDLINE")
    useless = [min(parameter.opts, key=len) for parameter in typed if parameter.name not in BESIDE_REPLAY]
    if useless:
        raise UsageError(f"--replay takes everything from its line; expected no {', '.join(useless)} beside it: leave that out")


def _lines(made: SyntheticSet, written: WrittenSet) -> str:
    from flawsmith.core.samples import GOOD

    counts = ", ".join(f"{n} {defect}" for defect, n in written.defects.items() if defect != GOOD)
    lines = [f"{written.count} images in {written.folder}: {counts}", *_where_from(made)]
    if written.resumed:
        lines.append(f"{written.resumed} of them came from the run that was interrupted")
    if written.defects.get(GOOD):
        lines.append(f"{written.defects[GOOD]} took no defect in any attempt and are labelled {GOOD}")
    lines += [f"beware: {warning}" for warning in _warnings(made)]
    return "\n".join([*lines, f"look at {written.folder / 'contact_sheet.png'}"])


def _warnings(made: SyntheticSet) -> list[str]:
    flags = (f"the split {flag}" for sources in made.sources.values() for flag in sources.flags)
    return list(dict.fromkeys((*flags, *(warning for heritage in made.heritages().values() for warning in heritage.warnings))))


def _where_from(made: SyntheticSet) -> list[str]:
    from flawsmith.synthesis.writing import HEADER

    sets = dict.fromkeys(str(folder) for heritage in made.heritages().values() for folder in heritage.sets)
    before = [f"what was made before comes from {folder}; {HEADER} names its photographs that are known" for folder in sets]
    alone = {member.method.name for member in made.recipe.methods} == {"precomputed"}
    return before if alone else [_normals_of(made), *before]


def _normals_of(made: SyntheticSet) -> str:
    from flawsmith.synthesis.sources import NONE

    used = sum(len(sources.support.normals) for sources in made.sources.values())
    left = sum(sources.left for sources in made.sources.values())
    anomalies = sum(len(sources.support.anomalies) for sources in made.sources.values())
    start = f"made from {used} of {used + left} normals" + (f" and {anomalies} real anomalies" if anomalies else "")
    if made.recipe.split == NONE:
        return f"{start}; with --split {NONE} none was kept for a test, so train may test on some of them"
    options = f"--split {made.recipe.split} --seed {made.recipe.seed}"
    if made.recipe.defect_shots:
        options += f" --defect-shots {made.recipe.defect_shots}"
    return f"{start}; train with {options} tests on none of them"


def _document(made: SyntheticSet, written: WrittenSet) -> dict[str, Any]:
    return {
        "out": str(written.folder),
        "count": written.count,
        "resumed": written.resumed,
        "defects": dict(written.defects),
        "warnings": _warnings(made),
        "split": {product: sources.to_json() for product, sources in made.sources.items()},
        "manifest": str(written.folder / "manifest.jsonl"),
        "contact_sheet": str(written.folder / "contact_sheet.png"),
    }


def _replay(line: str, folder: Path, layout: str, out: Path, clean: bool, overwrite: bool, as_json: bool) -> None:
    from flawsmith.data import load
    from flawsmith.synthesis.writing import compared, find_line, write_replay

    record = find_line(line)
    again = write_replay(record, load(folder, layout), out, clean=clean, overwrite=overwrite)
    checked = compared(record, again)
    unchecked = [kind for kind in again["files"] if kind not in checked]
    text = (
        f"made again in {out}: {', '.join(file['path'] for file in again['files'].values())}; {' and '.join(checked)} equal to "
    )
    text += "the line's hashes" + "".join(f"; the line has no hash of {kind} to compare with" for kind in unchecked)
    show(text, {"out": str(out), "files": again["files"], "compared": checked}, as_json)
