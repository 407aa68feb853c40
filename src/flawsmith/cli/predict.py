"""`flawsmith predict`: scores, maps and verdicts for photographs, as a CSV and overlays."""

from pathlib import Path
from typing import Annotated

import typer

from flawsmith.cli.options import AsJson, Debug, ModelFolder, Overwrite
from flawsmith.cli.output import show

Images = Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Photographs, or folders of them.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", metavar="OUT", help="Folder for scores.csv, overlays and maps.", show_default=False)]


def predict(
    model: ModelFolder,
    images: Images,
    out: Out,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Ask an inspector about photographs.

    Example: flawsmith predict models/tiles new/*.png --out findings
    """
    from flawsmith.inspection.inspector import Inspector
    from flawsmith.report.findings import write_findings

    inspector = Inspector.load(model)
    findings = write_findings(inspector, images, out, overwrite=overwrite)
    defective = sum(finding["verdict"] == "defect" for finding in findings)
    lines = f"{out}: {defective} of {len(findings)} images called defective at threshold {inspector.threshold.value:.4g}"
    show(lines, {"out": str(out), "images": findings}, as_json)
