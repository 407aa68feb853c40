"""`flawsmith evaluate`: what an inspector is worth on images it has never seen."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawsmith.cli.options import AsJson, DataFolder, Debug, LayoutName, ModelFolder, ProductName, ScaleRule
from flawsmith.cli.output import show, typed_command

if TYPE_CHECKING:
    from flawsmith.inspection.evaluation import Evaluation
    from flawsmith.inspection.protocols import Geometry

Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Write a report that opens offline.", show_default=False)
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="ID",
        help="Show only this metric, on the screen and in --table, and fail if it is undefined; repeatable. The report has all. "
        "Ids: docs/metrics.md.",
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
    from flawsmith.inspection.protocols import geometry_by_hand, geometry_of
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
    shown = replace(result, metrics={name: result.metrics[name] for name in metric or result.metrics})
    chosen = _chosen(geometry_of(protocol, result.detector, geometry))
    for file in table or ():
        write_table(file, evaluation_table(shown, chosen=chosen))
    lines = _lines(shown, folder, chosen)
    lines += [f"{what}: {file}" for what, file in (("report", report), *(("table", each) for each in table or ())) if file]
    show("\n".join(lines), shown.to_json(), as_json)


def _lines(result: "Evaluation", folder: Path, chosen: list[str]) -> list[str]:
    """How it was measured, a line per metric, and what a reader must know."""
    from flawsmith.report.results import cautions_of, variant_of

    how = ", ".join((f"protocol {result.protocol_told}", *chosen))
    lines = [f"{result.name}: {len(result.results)} test images of {folder}, {how}"]
    width = max(map(len, result.metrics))
    for name, value in result.metrics.items():
        number = f"{value.value:.4f}" if value.reason is None else f"–       {value.reason}"
        lines.append(f"  {name:<{width}} {number}  {variant_of(value.record)}".rstrip())
    return [*lines, *(f"beware: {told}" for told in (*result.warnings, *cautions_of(v.record for v in result.metrics.values())))]


def _chosen(geometry: "Geometry") -> list[str]:
    """What differs from the defaults."""
    from flawsmith.inspection.protocols import HONEST

    names = {
        "resolution": "resolution",
        "mask_rule": "mask rule",
        "pro_mask_rule": "mask rule of AUPRO",
        "image_score": "image score",
        "pro": "AUPRO",
    }
    told = {word: (getattr(geometry, name), getattr(HONEST, name)) for name, word in names.items()}
    return [f"{word} {mine}" for word, (mine, default) in told.items() if mine != default]
