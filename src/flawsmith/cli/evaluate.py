"""`flawsmith evaluate`: what an inspector is worth on images it has never seen."""

from pathlib import Path
from typing import Annotated

import typer

from flawsmith.cli.options import AsJson, DataFolder, Debug, LayoutName, ModelFolder, ProductName, ScaleRule
from flawsmith.cli.output import show, typed_command

Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Write a report that opens offline.", show_default=False)
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="ID",
        help="Show only this metric, and fail if it is undefined; repeatable. Ids: docs/metrics.md.",
        show_default=False,
    ),
]
TableFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--table",
        metavar="FILE",
        help="Write the table of results, published ones beside them, as .csv, .md or .tex; repeatable.",
        show_default=False,
    ),
]
ProtocolName = Annotated[
    str,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help="honest; as_released: evaluated as the detector's original code does, to compare with its published numbers; "
        "as_released:draem and others: as that code does.",
    ),
]
Resolution = Annotated[
    str, typer.Option("--resolution", metavar="SIZE", help="Where maps and masks meet: native, 256 or 512 (a square).")
]
MaskRule = Annotated[
    str,
    typer.Option("--mask-rule", metavar="RULE", help="How a mask is resized: default, area, truncate, any, nearest, half …"),
]
Pro = Annotated[str, typer.Option("--pro", metavar="VARIANT", help="Which AUPRO: mvtec, full, mvtec3d-100 …")]
ImageScore = Annotated[
    str,
    typer.Option(
        "--image-score", metavar="NAME", help="Score of an image: own (the detector's), max, top100, topk_fraction, smooth21_max."
    ),
]
Memory = Annotated[
    float,
    typer.Option("--memory", metavar="GIB", help="Anomaly maps held in memory, GiB; more goes to a temporary file.", min=0.0),
]
PixelIntervals = Annotated[
    int | None,
    typer.Option(
        "--pixel-intervals",
        metavar="N",
        help="Bootstrap draws behind the intervals of pixel metrics; 0: none. Default: 1000, or none beyond 50 million pixels.",
        min=0,
        show_default=False,
    ),
]


def evaluate(
    model: ModelFolder,
    folder: DataFolder,
    report: Report = None,
    table: TableFiles = None,
    metric: Metrics = None,
    protocol: ProtocolName = "honest",
    resolution: Resolution = "native",
    mask_rule: MaskRule = "default",
    pro: Pro = "mvtec",
    image_score: ImageScore = "own",
    memory: Memory = 2.0,
    pixel_intervals: PixelIntervals = None,
    product: ProductName = None,
    layout: LayoutName = "auto",
    scale: ScaleRule = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier report at --report.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure an inspector on the test images of a folder.

    Example: flawsmith evaluate models/tiles tiles/ --report report.html
    """
    from flawsmith.data import load
    from flawsmith.data.layouts import SCALE, parse_layout
    from flawsmith.inspection.evaluation import evaluate as measure
    from flawsmith.inspection.inspector import Inspector
    from flawsmith.inspection.protocols import geometry_by_hand
    from flawsmith.report.beside import evaluation_table
    from flawsmith.report.html import refuse_report, write_report
    from flawsmith.report.table_formats import refuse_table_files, write_table

    if report is not None:
        refuse_report(report, [model, folder], overwrite=overwrite)
    refuse_table_files(table or (), [model, folder])
    geometry = geometry_by_hand(resolution, mask_rule, image_score, pro)
    inspector = Inspector.load(model)
    trained = None if SCALE in parse_layout(layout)[1] else inspector.origin.scale
    result = measure(
        inspector,
        load(folder, layout, product=product, scale=scale or trained or None),
        require=metric or (),
        command=typed_command(),
        protocol=protocol,
        geometry=geometry,
        memory=round(memory * 2**30),
        pixel_resamples=pixel_intervals,
    )
    if report is not None:
        write_report(report, result)
    for file in table or ():
        write_table(file, evaluation_table(result))
    shown = metric or list(result.metrics)
    lines = [f"{result.name}: {len(result.results)} test images of {folder}, protocol {result.protocol_told}"]
    for name in shown:
        value = result.metrics[name]
        lines.append(f"  {name:<14} {value.value:.4f}" if value.reason is None else f"  {name:<14} –       {value.reason}")
    lines += [f"beware: {warning}" for warning in result.warnings]
    lines += [f"{what}: {file}" for what, file in (("report", report), *(("table", each) for each in table or ())) if file]
    document = result.to_json()
    show("\n".join(lines), {**document, "metrics": {name: document["metrics"][name] for name in shown}}, as_json)
