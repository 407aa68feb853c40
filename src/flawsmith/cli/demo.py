"""`flawsmith demo`: the main job on real photographs, ending in a report."""

from pathlib import Path
from typing import Annotated

import typer

from flawsmith.cli.options import AsJson, Debug, Overwrite, RootSeed
from flawsmith.cli.output import show

Out = Annotated[Path, typer.Option("--out", metavar="OUT", help="Folder for the report, the inspectors and the pictures.")]
Normals = Annotated[int, typer.Option("--normals", help="How many good cells to learn from.", min=2)]
Steps = Annotated[int, typer.Option("--steps", help="Training steps of memseg.", min=1)]


def demo(
    out: Out = Path("runs/demo"),
    normals: Normals = 150,
    steps: Steps = 300,
    seed: RootSeed = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train and compare inspectors on photographs of solar cells, and write a report. Needs the extra `demo`.

    Example: flawsmith demo --out runs/demo
    """
    from flawsmith.report.demo import run_demo

    result = run_demo(out, normals=normals, steps=steps, seed=seed, overwrite=overwrite)
    table = "\n".join(f"  {row['name']:<38} image AUROC {row['image_auroc']:.3f}" for row in result.rows)
    show(f"{table}\nreport: {result.report}", {"report": str(result.report), "rows": result.rows}, as_json)
