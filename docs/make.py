"""Make every picture of the documentation: `make docs`.

    python docs/make.py            all of them
    python docs/make.py draem …    docs/images/synthesis/NAME.png of these synthesizers alone
    python docs/make.py masks      docs/images/masks.png and foregrounds.png alone

docs/images/synthesis/METHOD.png and docs/synthesis/gallery.md: each synthesizer on six surfaces, by docs/gallery.py.
docs/images/overview.png: what an inspector that has seen only normals says of synthetic defects. docs/images/DETECTOR.png: each
detector on the toy texture, by benchmarks/toy_texture.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from flawsmith.core.arrays import Image
from flawsmith.core.detector import TrainingTask
from flawsmith.core.files import write_bytes
from flawsmith.core.recipes import parse_methods
from flawsmith.core.registry import detectors
from flawsmith.core.requests import Anomaly, Request
from flawsmith.core.samples import GOOD, ArraySource, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.detectors.patchcore import PatchCore
from flawsmith.report.pictures import overlay, scale_of
from flawsmith.synthesis import build

HERE = Path(__file__).parent
IMAGES = HERE / "images"
SIDE = 192
MASKS = "masks"
SEED = Seed(0, ("docs",))


def main(names: Sequence[str]) -> None:
    if not names or MASKS in names:
        subprocess.run([sys.executable, HERE / "masks_picture.py"], check=True)
    methods = [name for name in names if name != MASKS]
    if methods or not names:
        subprocess.run([sys.executable, HERE / "gallery.py", *(["--methods", ",".join(methods)] if methods else [])], check=True)
    if names:
        return
    write_picture(IMAGES / "overview.png", overview())
    command = [sys.executable, HERE.parent / "benchmarks" / "toy_texture.py", *detectors.names(), "--seeds", "1"]
    subprocess.run([*map(str, command), "--pictures", str(IMAGES)], check=True)


def write_picture(path: Path, image: Image) -> None:
    write_bytes(path, cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())
    print(path)


def crop(texture: str, number: int, left: bool) -> Sample:
    """A square of one half of a texture: the left half to learn from, the right half to look at."""
    whole = getattr(skimage.data, texture)()
    rng = SEED.numpy(texture, number, "left" if left else "right")
    half = whole.shape[1] // 2
    y = rng.integers(0, whole.shape[0] - SIDE)
    x = rng.integers(0, half - SIDE) + (0 if left else half)
    grey = whole[y : y + SIDE, x : x + SIDE]
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    return Sample(f"{texture}/train/{GOOD}/{number}", texture, GOOD, "train", str(number), ArraySource(pixels))


def anomalies(methods: str, textures: tuple[str, ...]) -> list[Anomaly]:
    normals = [crop(texture, number, left=False) for number, texture in enumerate(textures)]
    synthesizer = build(parse_methods(methods)).fit(SupportSet(tuple(normals)))
    return synthesizer.synthesize([Request(normal, SEED.child(methods, i)) for i, normal in enumerate(normals)])


def overview() -> Image:
    """Rows: normal, synthetic defect, its mask, the map of an inspector trained on other crops of the same wall."""
    normals = [crop("brick", number, left=True) for number in range(24)]
    task = TrainingTask(None, normals, SupportSet(tuple(normals)), seed=SEED)
    detector = PatchCore(size=SIDE).fit(task)
    made = [anomalies(methods, ("brick",) * 4)[k] for k, methods in enumerate(["draem", "cutpaste", "cutpaste_scar", "draem"])]
    maps = [prediction.map for prediction in detector.predict(anomaly.image for anomaly in made)]
    scale = scale_of(maps)
    columns = [
        np.concatenate([framed(picture) for picture in (clean_of(a), a.image, mask_of(a), overlay(a.image, m, scale=scale))])
        for a, m in zip(made, maps, strict=True)
    ]
    return np.concatenate(columns, axis=1)


def clean_of(anomaly: Anomaly) -> Image:
    assert anomaly.clean is not None
    return anomaly.clean


def mask_of(anomaly: Anomaly) -> Image:
    return np.repeat(anomaly.mask[:, :, None], 3, axis=2).astype(np.uint8) * 255


def framed(picture: Image) -> Image:
    return np.pad(picture, ((3, 3), (3, 3), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main(sys.argv[1:])
