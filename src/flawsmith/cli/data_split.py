"""`flawsmith data split`: write down who is trained on and who is tested, for others and for later."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flawsmith.cli.options import SPLITS, AsJson, DataFolder, Debug, LayoutName, ProductName, RootSeed
from flawsmith.cli.output import show


def split(
    folder: DataFolder,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.json", help="File to write.", show_default=False)],
    policy: Annotated[str, typer.Option("--split", metavar="POLICY", help=f"How to split: {SPLITS}.")] = "auto",
    product: ProductName = None,
    layout: LayoutName = "auto",
    seed: RootSeed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier split at --out.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a split of DIR as JSON with its own SHA-256; --split FILE.json of train, synth and data check takes it as it is.

    Example: flawsmith data split tiles/ --split mtd-902-50 --seed 1 --out split.json
    """
    from flawsmith.core.errors import UsageError
    from flawsmith.core.files import refuse_overlap
    from flawsmith.data import load
    from flawsmith.data.splits import STORED, make_split, record_of

    if out.suffix != STORED:
        raise UsageError(f"--out is {out}; expected a name that ends in {STORED}, by which --split knows a file")
    data = load(folder, layout)
    refuse_overlap(out, [data.root])
    if out.exists():
        _refuse_taken(out, overwrite)
    made = make_split(data, policy, seed=seed, product=product)
    out.parent.mkdir(parents=True, exist_ok=True)
    made.save(out)
    told = ", ".join(f"{place} {count}" for place, count in made.counts().items() if count)
    flags = "".join(f"\nbeware: the split {flag}" for flag in made.flags)
    lines = f"{out}: {made.policy}, seed {made.seed}: {told}; SHA-256 {made.digest}{flags}"
    given = shlex.quote(str(folder)) + ("" if layout == "auto" else f" --layout {shlex.quote(layout)}")
    whose = f" --product {shlex.quote(product or data.products[0])}" if product or len(data.products) > 1 else ""
    following = f"flawsmith train {given}{whose} --split {shlex.quote(str(out))} --out runs/model"
    show(f"{lines}\nnext: {following}", {"out": str(out), **record_of(made), "next": following}, as_json)


def _refuse_taken(out: Path, overwrite: bool) -> None:
    from flawsmith.core.errors import OutputError
    from flawsmith.data.splits import Split

    if not overwrite:
        raise OutputError(f"{out} is there already; expected a new name: choose another, or add --overwrite")
    Split.load(out)
