"""`flawsmith quality`: what generated pictures are worth beside real ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawsmith.cli.options import AsJson, Debug, LayoutName, ProductName, RootSeed
from flawsmith.cli.output import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flawsmith.inspection.quality import Quality, TypeQuality
    from flawsmith.metrics.records import MetricValue

Synthetic = Annotated[
    Path,
    typer.Argument(
        metavar="SYNTHETIC",
        help="A set of `flawsmith synth` or of another tool, or a folder with pictures, DEFECT/pictures or "
        "PRODUCT/DEFECT/pictures (good: normals).",
        show_default=False,
    ),
]
Real = Annotated[Path, typer.Argument(metavar="REAL", help="Folder with real images, or elpv.", show_default=False)]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="ID",
        help="Measure only this; repeatable. inception_score, fid, kid, ssim, psnr, vif, lpips, ic_lpips, ic_lpips_a, "
        "ic_lpips_a_norm. Default: all.",
        show_default=False,
    ),
]
Extractor = Annotated[
    str,
    typer.Option(
        "--extractor",
        metavar="NAME",
        help="Who looks at the pictures. auto: the reference networks whose --weights are given, efficientnet-lite0 for others. "
        "efficientnet-lite0, random-SEED: offline. inception-v3-fid, lpips-vgg16, lpips-alexnet: insist on it.",
    ),
]
Weights = Annotated[
    list[Path] | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Weights of a reference network (.pth, .safetensors), told apart by what is in them; repeatable (docs/quality.md).",
        show_default=False,
    ),
]
Pairing = Annotated[
    str,
    typer.Option(
        "--pairing",
        help="Who is compared with whom by ssim, psnr, vif and lpips. all: at most 1000 random pairs; source: each with what it "
        "was made from; nearest: each with the nearest real one by LPIPS.",
    ),
]
Side = Annotated[
    int | None,
    typer.Option(
        "--size",
        help="Resize every picture to a square of this side first. Default: sets as they are, pairs and IC-LPIPS at 256.",
        show_default=False,
    ),
]
Compat = Annotated[
    str | None,
    typer.Option(
        "--compat",
        metavar="NAME",
        help="Count IC-LPIPS as released code does, its errors too: anomalydiffusion, dfmgan, seas.",
        show_default=False,
    ),
]
SyntheticLayout = Annotated[
    str,
    typer.Option(
        "--synthetic-layout", help="How SYNTHETIC is read: auto, plain, native, anomalydiffusion, dfmgan, asbench-triplet."
    ),
]


def quality(
    synthetic: Synthetic,
    real: Real,
    metric: Metrics = None,
    extractor: Extractor = "auto",
    weights: Weights = None,
    pairing: Pairing = "all",
    size: Side = None,
    compat: Compat = None,
    product: ProductName = None,
    layout: LayoutName = "auto",
    synthetic_layout: SyntheticLayout = "auto",
    seed: RootSeed = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure generated pictures against real ones of the same product and defect: Inception Score, FID, KID, SSIM, PSNR, VIF,
    LPIPS, IC-LPIPS. A value from other weights than those that define a metric has a suffix on its name.

    Example: flawsmith quality tiles_synthetic tiles/ --metric fid --metric ic_lpips
    """
    from flawsmith.data import load
    from flawsmith.inspection.quality import Rules, measure_quality

    rules = Rules(tuple(metric or ()), pairing, size, compat, seed)
    data = load(real, layout, product=product)
    found = measure_quality(
        synthetic, data, rules, extractor=extractor, weights=weights or (), layout=synthetic_layout, product=product
    )
    head = f"{synthetic} against {data.name} ({real})"
    show("\n".join([head, *_lines(found)]), {"synthetic": str(synthetic), "real": str(real), **found.to_json()}, as_json)


def _lines(found: Quality) -> list[str]:
    lines: list[str] = []
    for each in found.types:
        lines += ["", f"{each.product} {each.defect}: {each.generated} generated, {each.real} real ({each.real_rule})"]
        lines += [*_table(each.metrics, each), *(f"  beware: {note}" for note in each.notes)]
    for product, metrics in found.products.items():
        kinds = [each.defect for each in found.types if each.product == product]
        if len(kinds) > 1:
            lines += ["", f"{product}: mean over kinds of defect", *_table(metrics)]
    if len(found.products) > 1:
        lines += ["", f"mean over {len(found.products)} products", *_table(found.mean)]
    return [*lines, *([""] if found.notes else []), *(f"beware: {note}" for note in found.notes)]


def _table(metrics: Mapping[str, MetricValue], of: TypeQuality | None = None) -> list[str]:
    width = max(map(len, metrics), default=0)
    lines = []
    for name, value in metrics.items():
        told = _number(value.value) if value.reason is None else f"–       {value.reason}"
        spread = f" ± {_number(value.std)}" if value.std is not None else ""
        left = f"  without {', '.join(value.record.left_out)}" if value.record.left_out else ""
        aside = _aside(of.counts.get(name, {})) if of else ""
        lines.append(f"  {name:<{width}}  {told}{spread}{left}{aside}")
    return lines


def _number(value: float) -> str:
    """Four significant digits: an FID of 300 and a KID of 0.0003 stand in one table."""
    if abs(value) >= 1000:
        return f"{value:.0f}"  # inf too
    return f"{value:#.4g}" if value else "0"


def _aside(counts: Mapping[str, Any]) -> str:
    """What was counted beside a value, in words."""
    parts = [f"{counts['pairs']} pairs"] if "pairs" in counts else []
    parts += [f"{counts['identical']} identical, left out"] if counts.get("identical") else []
    parts += [f"{counts['constant']} constant references left out"] if counts.get("constant") else []
    if sizes := counts.get("cluster_sizes"):
        parts.append(f"{len(sizes)} clusters of {min(sizes)} to {max(sizes)}, {counts['clusters_left_out']} below two left out")
    parts += [f"{counts['over_cap']} over the cap"] if counts.get("over_cap") else []
    parts += [f"{counts['without_mask']} pictures without a mask left out"] if counts.get("without_mask") else []
    return f"  ({'; '.join(parts)})" if parts else ""
