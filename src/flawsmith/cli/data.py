"""`flawsmith data check`: what is in a folder, what is wrong with it, what to type next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from flawsmith.cli import data_export, data_get, data_split
from flawsmith.cli.options import SPLITS, AsJson, DataFolder, Debug, LayoutName, ProductName, ScaleRule
from flawsmith.cli.output import help_when_bare, show
from flawsmith.core.wording import counted

if TYPE_CHECKING:
    from flawsmith.data.checks import CheckReport
    from flawsmith.data.problems import Problem

app = typer.Typer(help="Look at a folder of images, or get a published one.", rich_markup_mode=None)
app.command("get")(data_get.get)
app.command("split")(data_split.split)
app.command("export", epilog="Example: flawsmith data export tiles/ --out tiles.csv")(data_export.export)


@app.callback(invoke_without_command=True)
def _data(context: typer.Context) -> None:
    """Look at a folder of images, or get a published one."""
    help_when_bare(context)


@app.command(
    "check", epilog="Example: flawsmith data check tiles/    or, for the solar cells of elpv-dataset: flawsmith data check elpv"
)
def check(
    folder: DataFolder,
    layout: LayoutName = "auto",
    scale: ScaleRule = None,
    product: ProductName = None,
    masks: Annotated[bool, typer.Option("--masks", help="Require a mask for every anomaly.")] = False,
    headers: Annotated[bool, typer.Option("--headers", help="Read headers only: quick, finds no damaged pixels.")] = False,
    split: Annotated[
        str, typer.Option("--split", metavar="POLICY", help=f"The split whose sides and leaks are looked at: {SPLITS}.")
    ] = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Root of the split's draws.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="An incomplete published data set (W_COUNT) is an error.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say what is in DIR, what is wrong with it, and what to type next. Exit code 1 where something must be mended."""
    from flawsmith.data.checks import check as look
    from flawsmith.data.layouts import with_scale

    layout = with_scale(layout, scale)
    report = look(folder, layout, full=not headers, product=product, masks=masks, split=split, seed=seed, strict=strict)
    shown = str(folder) if str(folder) == "elpv" else str(report.dataset.root)
    given = shlex.quote(shown) + ("" if layout == "auto" else f" --layout {shlex.quote(layout)}")
    chosen = ("" if split == "auto" else f" --split {shlex.quote(split)}") + (f" --seed {seed}" if seed else "")
    following = _next(report, given, product, chosen)
    show(_lines(report, shown, following), {**report.to_json(), "next": following}, as_json)
    if report.errors:
        typer.echo(_complaint(report, shown), err=True)
        raise typer.Exit(1)


def _complaint(report: CheckReport, shown: str) -> str:
    from flawsmith.data.problems import summary

    first = report.errors[0]
    told = first.line()
    if len(report.errors) > 1:
        told = f"{shown} has {summary(report.errors)}; first: {told}"
    return f"flawsmith: {first.code}: {' '.join(told.split())}"


def _lines(report: CheckReport, shown: str, following: str) -> str:
    data = report.dataset
    lines = [
        f"{shown}: {counted(len(data), 'image')}, {counted(len(data.products), 'product')}",
        f"layout   {data.layout}, because of {report.why}",
        f"licence  {data.licence}{f'; cite {data.citation}' if data.citation else ''}",
        f"sizes    {_sizes(report)}",
        f"modes    {', '.join(f'{mode} {count}' for mode, count in report.modes.items())}",
        *_masks(report),
        *_groups(report),
        *(f"note     {note}" for note in report.notes),
        "",
        *_table(report),
        "",
        *_sides(report),
        *_problems("errors", report.errors),
        *_problems("warnings", report.warnings),
        *_unmatched(report),
        f"next     {following}",
    ]
    return "\n".join(lines)


def _sizes(report: CheckReport) -> str:
    told = [f"{width}×{height} ({count})" for (height, width), count in list(report.sizes.items())[:4]]
    return f"{', '.join(told)}{f' and {len(report.sizes) - 4} more' if len(report.sizes) > 4 else ''}"


def _masks(report: CheckReport) -> list[str]:
    seen, lines = report.masks, []
    if seen.encodings:
        told = ", ".join(f"{count} read as {encoding}" for encoding, count in seen.encodings.items())
        hold = counted(len(seen.grey), "of them holds", "of them hold")
        grey = f"; {hold} values between 0 and 255, which the threshold decides on" if seen.grey else ""
        lines.append(f"masks    of defects: {told}{grey}")
    if seen.blank:
        masks = counted(len(seen.blank), "mask is", "masks are")
        lines.append(f"blank    {masks} blank as released: expected; such images count for image metrics alone")
        lines += [f"         {name}" for name in seen.blank]
    return lines


def _groups(report: CheckReport) -> list[str]:
    groups = report.groups
    if groups is None:
        return []
    sizes = ", ".join(f"{count} of {size}" for size, count in list(groups.sizes.items())[:6])
    more = f" and {counted(len(groups.sizes) - 6, 'other size')}" if len(groups.sizes) > 6 else ""
    mixed = f"; {counted(groups.mixed, 'of them shows', 'of them show')} normals and anomalies" if groups.mixed else ""
    lines = [f"groups   {counted(groups.groups, 'group')} of images of one piece ({sizes}{more}){mixed}"]
    if groups.torn is not None and groups.tested:
        lines.append(
            f"         a random split would tear {groups.torn} of {groups.groups} ({groups.torn / groups.groups:.0%}), and "
            f"{groups.seen} of its {groups.tested} test images ({groups.seen / groups.tested:.0%}) would have one of their group "
            f"in training"
        )
    return lines


def _table(report: CheckReport) -> list[str]:
    rows = [("product", "split", "defect", "images", "masks")]
    rows += [(r["product"], r["split"], r["defect"], str(r["images"]), str(r["masks"] or "-")) for r in report.counts()]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  ".join(text.rjust(w) if i > 2 else text.ljust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _sides(report: CheckReport) -> list[str]:
    if report.split is None:
        return []
    lines = [f"split    {report.split.policy}, seed {report.split.seed}, SHA-256 {report.split.digest[:12]}"]
    for row, shares in zip(report.sides(), report.shares(), strict=True):
        told = ", ".join(f"{count} {side.replace('_', ' ')}" for side, count in row.items() if side != "product")
        tested = [
            f"{share:.0%} of the {kind}" for kind in ("normals", "anomalies") if (share := shares[f"tested_{kind}"]) is not None
        ]
        lines.append(f"         {row['product']}: {told}; tested: {' and '.join(tested)}")
    return [*lines, *(f"         {flag}" for flag in report.split.flags), ""]


def _problems(title: str, problems: tuple[Problem, ...]) -> list[str]:
    from flawsmith.data.problems import SHOWN

    lines = [f"{title}"] if problems else []
    for problem in problems:
        lines.append(f"  {problem.code}: {problem.line()}")
        listed = [" | ".join(files) for files in problem.sets] or list(problem.files if len(problem.files) > 1 else ())
        lines += [f"    {names}" for names in listed[:SHOWN]]
        if len(listed) > SHOWN:
            lines.append(f"    … {len(listed) - SHOWN} more")
    return [*lines, ""] if lines else []


def _unmatched(report: CheckReport) -> list[str]:
    from flawsmith.data.problems import SHOWN

    if not report.unmatched:
        return []
    listed = [f"    {name}" for name in report.unmatched[:SHOWN]]
    return [
        f"{counted(len(report.unmatched), 'image')} matched nothing and {'is' if len(report.unmatched) == 1 else 'are'} not used",
        *listed,
        "",
    ]


def _next(report: CheckReport, given: str, product: str | None, chosen: str) -> str:
    """The next command; `given` is the folder with its layout and `chosen` the split, as the user gave them."""
    if report.errors:
        return f"mend the errors, then: flawsmith data check {given}{chosen}"
    data = report.dataset
    options = f" --product {shlex.quote(product or data.products[0])}{chosen}" if product or len(data.products) > 1 else chosen
    if not data.defects():
        return f"flawsmith synth {given}{options} --synth draem:2,cutpaste:1 -n 100 --out runs/synthetic"
    return f"flawsmith train {given}{options} --detector patchcore --out runs/model"
