"""From a folder of good pictures to an inspector, offline, in under a minute.

The folder is made here, from the toy texture; put your own in its place:

    python examples/quickstart.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

import flawsmith as fs
from flawsmith.core.seeding import Seed
from flawsmith.testing.toy import toy_anomalies, toy_normals


def write_tiles(root: Path) -> Path:
    for sample in (*toy_normals(24, Seed(0)), *toy_normals(8, Seed(0), split="test"), *toy_anomalies(8, Seed(0))):
        _, split, defect, stem = sample.id.split("/")
        image, mask = root / split / defect / f"{stem}.png", root / "ground_truth" / defect / f"{stem}_mask.png"
        for file, pixels in ((image, sample.image()), (mask, sample.mask().astype(np.uint8) * 255)):
            if pixels.any():
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), pixels)
    return root


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else write_tiles(Path(tempfile.mkdtemp()) / "tiles")
    data = fs.load(folder)
    defects = fs.synthesize(data, "draem:2,cutpaste:1", n=100, seed=0)  # a sequence, made on access
    print("one of", len(defects), "synthetic defects:", defects[0].defect, "on", int(defects[0].mask.sum()), "pixels")
    model = fs.train(data, detector="patchcore", seed=0)
    for sample, found in zip(data.samples[:4], model.predict(sample.image() for sample in data.samples[:4]), strict=True):
        print(sample.id, found.verdict, round(found.score, 2))
    result = fs.evaluate(model, data)
    print("image AUROC", round(result["image_auroc"], 3), " AUPRO", round(result["pixel_aupro"], 3))


if __name__ == "__main__":
    main()
