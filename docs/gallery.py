"""The gallery: what every synthesizer makes of six surfaces, or of photographs: `make gallery`.

    python docs/gallery.py                                 docs/images/synthesis/NAME.png and docs/synthesis/gallery.md
    python docs/gallery.py --methods draem,nsa             the pictures of these alone
    python docs/gallery.py DATA --out runs/gallery-mtd     NAME.png and index.html of the photographs in DATA

The six surfaces are scikit-image's brick, grass and gravel, and brushed metal, a weave and a machined part that are computed
(`flawsmith.appearance.surfaces`). Three rows of a picture are made by the method's default preset; below them a row for every
other preset that changes a pixel and does not refuse these pictures. Methods that paste real anomalies get toy defects drawn
on other crops of the same surface or, of DATA, up to two anomalies of each defect, which leave the test side. Seeds are
fixed: the same bytes on every run. DATA is a folder, or `elpv` for the installed package of solar cells.
"""

from __future__ import annotations

import argparse
import html
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from PIL import Image as Pictures

from flawsmith.appearance.photometry import is_grey
from flawsmith.appearance.surfaces import surface
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import DataError, FlawsmithError
from flawsmith.core.files import write_bytes, write_text
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.recipes import parse_methods
from flawsmith.core.registry import build_synthesizer, synthesizers
from flawsmith.core.requests import Anomaly, Request
from flawsmith.core.samples import GOOD, ArraySource, Region, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.data.resize import resize_image, resize_mask
from flawsmith.data.splits import make_split
from flawsmith.data.support import support_set
from flawsmith.synthesis import build
from flawsmith.synthesis.gallery import contact_sheet
from flawsmith.synthesis.sets import synthesize
from flawsmith.synthesis.sources import NONE
from flawsmith.synthesis.writing import write_set

HERE = Path(__file__).parent
PICTURES = HERE / "images" / "synthesis"
PAGE = HERE / "synthesis" / "gallery.md"
SEED = Seed(0, ("gallery",))
TEXTURES = ("brick", "grass", "gravel")
COMPUTED = ("brushed_metal", "weave", "machined_part")
SIDE, TILE, NORMALS, ANOMALIES = 256, 128, 6, 4
MIX = "draem:2,cutpaste:1,cutpaste_scar:1"
"""What stands for `mix`, which has no members of its own."""

MOST_PRESETS = 4
LONGEST = 384
"""Photographs are shrunk until their longer side has this many pixels."""

ATTEMPTS = 8


@dataclass(frozen=True, eq=False)
class Subject:
    """One picture to start from.

    Args:
        name: for its caption.
        normal: the picture, one of the support set's.
        support: what the method may use.
    """

    name: str
    normal: Sample
    support: SupportSet


def main() -> None:
    options = parsed()
    names = options.methods.split(",") if options.methods else list(synthesizers.entries)
    if options.data is None:
        draw(names, PICTURES, surfaces())
        if not options.methods:
            write_text(PAGE, page(names))
            print(PAGE)
    else:
        if options.out is None:
            raise SystemExit("--out is missing; expected a folder for the pictures of DATA, as in --out runs/gallery-mtd")
        refused = draw(names, options.out, photographs(options.data, options.layout))
        write_text(options.out / "index.html", index(options.data, names, refused))
        print(options.out / "index.html")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="folder of photographs, or elpv")
    parser.add_argument("--layout", default="auto")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--methods", help="NAME,… of synthesizers; default: all")
    return parser.parse_args()


def draw(names: Sequence[str], folder: Path, subjects: Sequence[Subject]) -> dict[str, str]:
    """Write NAME.png for every method; what a method refused to do, by name."""
    refused = {}
    for name in names:
        try:
            picture = picture_of(name, subjects)
        except FlawsmithError as error:
            refused[name] = str(error)
            print(f"{name}: {error}")
            continue
        write_bytes(folder / f"{name}.png", encoded(picture))
        print(folder / f"{name}.png", flush=True)
    return refused


def picture_of(name: str, subjects: Sequence[Subject]) -> Image:
    """The default preset on every subject, then every other preset that looks different on the first and the last one."""
    with tempfile.TemporaryDirectory() as scratch:
        shown = [(subject.name, anomaly_of(name, {}, subject, Path(scratch))) for subject in subjects]
        pair = (0, len(subjects) - 1)
        for preset in other_presets(name):
            try:
                made = [anomaly_of(name, {"preset": preset}, subjects[k], Path(scratch)) for k in pair]
            except FlawsmithError:  # made for other products or sizes
                continue
            if any(differ(anomaly, shown[k][1]) for anomaly, k in zip(made, pair, strict=True)):
                shown += [(f"{subjects[k].name}, preset {preset}", a) for k, a in zip(pair, made, strict=True)]
    return contact_sheet([a for _, a in shown], tile=TILE, columns=2, captions=[caption for caption, _ in shown])


def other_presets(name: str) -> list[str]:
    return list(synthesizers.entry(name).resolve().presets)[1 : 1 + MOST_PRESETS]


def differ(one: Anomaly, other: Anomaly) -> bool:
    return not (np.array_equal(one.image, other.image) and np.array_equal(one.mask, other.mask))


def anomaly_of(name: str, params: dict[str, Any], subject: Subject, scratch: Path) -> Anomaly:
    """The first anomaly that fits within the attempts, else the normal."""
    if name == "mix":
        method = build(parse_methods(MIX))
    else:
        method = build_synthesizer(MethodRecipe(name=name, params={**params, **settings(name, subject, scratch)}))
    fitted = method.fit(subject.support)
    for attempt in range(ATTEMPTS):
        seed = SEED.child(name, subject.normal.id, attempt)
        anomaly = fitted.synthesize([Request(subject.normal, seed)])[0]
        if not anomaly.is_normal:
            break
    return anomaly


def settings(name: str, subject: Subject, scratch: Path) -> dict[str, Any]:
    """Parameters that a method cannot do without."""
    return {"folder": str(made_before(subject, scratch))} if name == "precomputed" else {}


def made_before(subject: Subject, scratch: Path) -> Path:
    """A set of a dozen anomalies of the subject, as `flawsmith synth` writes it."""
    folder = scratch / subject.support.product
    if not folder.exists():
        data = Dataset("gallery", scratch / "normals", "folder", subject.support.normals)
        write_set(synthesize(data, MIX, 12, split=NONE), folder, clean=True)
    return folder


def surfaces() -> list[Subject]:
    """The six surfaces, each with a support set of other crops or other photographs of it."""
    subjects = []
    for name in (*TEXTURES, *COMPUTED):
        pictures = [surface_picture(name, number) for number in range(NORMALS + ANOMALIES)]
        normals = [sample_of(name, GOOD, str(k), image, ()) for k, (image, _) in enumerate(pictures[:NORMALS])]
        anomalies = []
        for k, (image, foreground) in enumerate(pictures[NORMALS:]):
            defect = DEFECTS[k % len(DEFECTS)]
            damaged, mask = damage(image, foreground, defect, SEED.child(name, "defect", k))
            anomalies.append(sample_of(name, defect, str(k), damaged, (Region(defect, mask),)))
        support = SupportSet(tuple(normals), tuple(anomalies), product=name, dataset="gallery")
        subjects.append(Subject(name.replace("_", " "), normals[0], support))
    return subjects


@cache
def surface_picture(name: str, number: int) -> tuple[Image, Mask]:
    """A good picture of a surface, and where the product is in it."""
    seed = SEED.child(name, number)
    if name in COMPUTED:
        made = surface(name, seed, (SIDE, SIDE))
        return made.image, made.foreground
    whole = getattr(skimage.data, name)()
    y, x = (int(seed.numpy("crop").integers(0, side - SIDE + 1)) for side in whole.shape)
    return np.repeat(whole[y : y + SIDE, x : x + SIDE, None], 3, axis=2), np.ones((SIDE, SIDE), bool)


def sample_of(product: str, defect: str, stem: str, pixels: Image, regions: tuple[Region, ...]) -> Sample:
    name = f"{product}/train/{defect}/{stem}"
    return Sample(name, product, defect, "train", f"{defect}-{stem}", ArraySource(pixels, regions, name))


DEFECTS = ("scratch", "spot", "stain", "chip")


def damage(image: Image, foreground: Mask, defect: str, seed: Seed) -> tuple[Image, Mask]:
    """A toy defect drawn on a good picture: a bent scratch, a bright spot, a brown stain, a dark chip."""
    rng = seed.numpy(defect)
    at = np.argwhere(cv2.erode(foreground.astype(np.uint8), np.ones((25, 25), np.uint8)))
    y, x = at[int(rng.integers(len(at)))]
    canvas = np.zeros(image.shape[:2], np.uint8)
    if defect == "scratch":
        steps = rng.normal(0, 2.5, (24, 2)) + rng.normal(0, 3, 2)
        cv2.polylines(canvas, [np.rint(np.add([x, y], np.cumsum(steps, axis=0))).astype(np.int32)], False, 1, 2)
    else:
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radius = {"spot": 6, "stain": 17, "chip": 10}[defect] * rng.uniform(0.7, 1.25, 24)
        cv2.fillPoly(
            canvas, [np.rint(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1)).astype(np.int32)], 1
        )
    mask = (canvas > 0) & foreground
    colour, opacity = {
        "scratch": ((225, 225, 220), 0.75),
        "spot": ((245, 243, 235), 0.85),
        "stain": ((96, 66, 30), 0.55),
        "chip": ((30, 28, 26), 0.8),
    }[defect]
    weight = opacity * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[:, :, None] * mask[:, :, None]
    target = np.array(colour) if not is_grey(image) else np.full(3, np.mean(colour))
    return np.rint(image * (1 - weight) + weight * target).astype(np.uint8), mask


def photographs(data: str, layout: str) -> list[Subject]:
    """Six photographs of a folder's training side, the products in turn, each with real anomalies that leave the test side."""
    dataset = load(data, layout)
    supports = []
    for product in dataset.products:
        mine = dataset.of(product=product)
        support = learned_from(mine, product)
        supports.append(SupportSet(tuple(map(shrunk, support.normals)), tuple(map(shrunk, support.anomalies)), product=product))
    turns = [(support, k) for k in range(NORMALS) for support in supports if k < len(support.normals)][:6]
    return [Subject(support.normals[k].id, support.normals[k], support) for support, k in turns]


def learned_from(data: Dataset, product: str) -> SupportSet:
    """Six normals, and as many real anomalies of each defect, up to two, as leave something to test on."""
    split = make_split(data)
    normals = min(NORMALS, sum(sample.is_normal for sample in split.on(data, "train")))
    for shots in (2, 1) if data.has_masks else ():
        try:
            return support_set(data, split, product=product, shots=normals, defect_shots=shots)[0]
        except DataError:  # too few
            continue
    return support_set(data, split, product=product, shots=normals)[0]


def shrunk(sample: Sample) -> Sample:
    image = sample.image()
    scale = min(1.0, LONGEST / max(image.shape[:2]))
    size = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    regions = tuple(Region(r.defect, resize_mask(r.mask, size)) for r in sample.source.regions())
    return sample.with_pixels(resize_image(image, size), regions)


def encoded(picture: Image) -> bytes:
    """A PNG of 256 colours: half the size, and less than one level off on average."""
    target = io.BytesIO()
    Pictures.fromarray(picture).quantize(256, Pictures.Quantize.MEDIANCUT, dither=Pictures.Dither.NONE).save(
        target, "PNG", optimize=True
    )
    return target.getvalue()


def page(names: Sequence[str]) -> str:
    """The page that shows every picture."""
    parts = [
        "# Gallery of synthesizers",
        "Every method on scikit-image's brick, grass and gravel and on three computed surfaces (brushed metal, a weave, a\n"
        "machined part on a dark ground), at fixed seeds: normal, anomaly, mask, difference. A small defect is enlarged, and\n"
        "its caption says so. Below the six surfaces stand other presets where they look different.",
        "    make gallery                                                   # these pictures and this page\n"
        "    python docs/gallery.py tiles/ --out runs/gallery-tiles         # the same for your photographs\n"
        "    python docs/gallery.py elpv --out runs/gallery-elpv            # the same for the solar cells of elpv-dataset",
    ]
    for name in names:
        parts += [
            f"## [`{name}`]({name}.md): {synthesizers.entry(name).summary}",
            f"![{name} on six surfaces](../images/synthesis/{name}.png)",
        ]
    return "\n\n".join(parts) + "\n"


def index(data: str, names: Sequence[str], refused: dict[str, str]) -> str:
    """The page that shows the pictures of one data set."""
    parts = [
        "<!doctype html><meta charset=utf-8>",
        f"<title>Gallery of {html.escape(data)}</title>",
        "<style>body{font:15px sans-serif;margin:2em;max-width:1150px} img{max-width:100%}</style>",
        f"<h1>Every synthesizer on {html.escape(data)}</h1>",
    ]
    for name in names:
        parts.append(f"<h2>{name}: {html.escape(synthesizers.entry(name).summary)}</h2>")
        parts.append(f"<p>{html.escape(refused[name])}</p>" if name in refused else f'<img src="{name}.png" alt="{name}">')
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    try:
        main()
    except FlawsmithError as error:
        sys.exit(f"{error.code}: {error}")
