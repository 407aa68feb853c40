"""`flawsmith evaluate`: what an inspector is worth on images it has never seen."""

from pathlib import Path
from typing import Annotated

import typer

from flawsmith.cli.options import AsJson, DataFolder, Debug, LayoutName, ModelFolder, ProductName
from flawsmith.cli.output import show, typed_command

Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Write a report that opens offline.", show_default=False)
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", metavar="ID", help="Show only this metric, and fail if it is undefined; repeatable.", show_default=False
    ),
]


def evaluate(
    model: ModelFolder,
    folder: DataFolder,
    report: Report = None,
    metric: Metrics = None,
    product: ProductName = None,
    layout: LayoutName = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier report at --report.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure an inspector on the test images of a folder.

    Example: flawsmith evaluate models/tiles tiles/ --report report.html
    """
    from flawsmith.data import load
    from flawsmith.inspection.evaluation import evaluate as measure
    from flawsmith.inspection.inspector import Inspector
    from flawsmith.report.html import refuse_report, write_report

    if report is not None:
        refuse_report(report, [model, folder], overwrite=overwrite)
    result = measure(Inspector.load(model), load(folder, layout, product=product), require=metric or (), command=typed_command())
    if report is not None:
        write_report(report, result)
    shown = metric or list(result.metrics)
    lines = [f"{result.name}: {len(result.results)} test images of {folder}, protocol {result.protocol}"]
    for name in shown:
        value = result.metrics[name]
        lines.append(f"  {name:<14} {value.value:.4f}" if value.reason is None else f"  {name:<14} –       {value.reason}")
    lines += [f"beware: {warning}" for warning in result.warnings]
    if report is not None:
        lines.append(f"report: {report}")
    document = result.to_json()
    show("\n".join(lines), {**document, "metrics": {name: document["metrics"][name] for name in shown}}, as_json)
