"""`flawsmith data export`: the records of a data set, in whatever layout, as a list."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flawsmith.cli.options import AsJson, DataFolder, Debug, LayoutName, Overwrite, ProductName, ScaleRule
from flawsmith.cli.output import show


def export(
    folder: DataFolder,
    out: Annotated[Path, typer.Option("--out", help="The list: .csv, .parquet or .jsonl.", show_default=False)],
    layout: LayoutName = "auto",
    scale: ScaleRule = None,
    product: ProductName = None,
    hashes: Annotated[bool, typer.Option("--sha256", help="Note the SHA-256 of every image's pixels; decodes them all.")] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write what is in DIR as a list, one row per image, that `load`, `check` and `train` read like DIR itself."""
    from flawsmith.data.loading import load
    from flawsmith.data.manifest.synthetic import is_synthetic_set, load_synthetic_set
    from flawsmith.data.manifest.writing import write_list

    data = load_synthetic_set(folder) if is_synthetic_set(folder) else load(folder, layout, product=product, scale=scale)
    rows = write_list(data, out, hashes=hashes, overwrite=overwrite)
    where = shlex.quote(str(data.root))
    again = (
        shlex.quote(str(out))
        if out.absolute().parent == data.root.absolute()
        else f"{where} --layout {shlex.quote(f'manifest:file={out.absolute()}')}"
    )
    told = f"flawsmith data check {again}"
    lines = [f"{out}: {rows} images of {data.name}; paths start from {data.root}", f"licence  {data.licence}", f"next     {told}"]
    document = {"list": str(out), "root": str(data.root), "images": rows, "licence": data.licence, "next": told}
    show("\n".join(lines), document, as_json)
