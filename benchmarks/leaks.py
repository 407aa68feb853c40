"""The leakage test on 10^5 images: fingerprints of made pictures with planted copies, on one core.

python -m benchmarks.leaks [--images 100000] [--clusters 0]

Half of the images are in training. Of the tested ones a hundredth is a near-copy of a trained image: its thumbnail with noise of
two levels. `--clusters` puts the pictures around so many common ones, as parts in one fixture are, which is what costs bands
their use. Reported: seconds per step, planted pairs found, peak memory; and the seconds that fingerprinting photographs of 256²
takes, the part that grows with the files.
"""

from __future__ import annotations

import argparse
import resource
import time

import cv2
import numpy as np

from flawsmith.core.samples import ArraySource, Sample
from flawsmith.data.dataset import Dataset
from flawsmith.data.fingerprints import Fingerprint, fingerprint, of_thumbnail
from flawsmith.data.leakage import find_leaks


def thumbnails(number: int, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth pictures, uint8 N×32×32; around `clusters` common ones where there are some."""
    coarse = rng.normal(0, 1, (number, 8, 8)).astype(np.float32)
    if clusters:
        coarse = 0.25 * coarse + rng.normal(0, 1, (clusters, 8, 8)).astype(np.float32)[rng.integers(0, clusters, number)]
    smooth = (cv2.resize(picture, (32, 32), interpolation=cv2.INTER_CUBIC) for picture in coarse)
    return np.stack([np.clip(128 + 40 * picture, 0, 255).astype(np.uint8) for picture in smooth])


def planted(pictures: np.ndarray, rng: np.random.Generator) -> int:
    """Make a hundredth of the second half near-copies of images of the first half; how many."""
    half, number = len(pictures) // 2, len(pictures) // 200
    noise = rng.normal(0, 2, (number, 32, 32))
    pictures[half : half + number] = np.clip(pictures[:number].astype(float) + noise, 0, 255).astype(np.uint8)
    return number


def samples(number: int) -> tuple[Sample, ...]:
    """Half of them in training, half tested."""
    made = []
    for index in range(number):
        split = "train" if index < number // 2 else "test"
        name = f"p/{split}/good/{index}"
        made.append(Sample(name, "p", "good", split, name, ArraySource(np.zeros((1, 1, 3), np.uint8), location=name)))
    return tuple(made)


def main() -> None:
    """Measure, and print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--clusters", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    pictures = thumbnails(options.images, options.clusters, rng)
    copies = planted(pictures, rng)
    data = Dataset("made", "root", "folder", samples(options.images))
    began = time.perf_counter()
    prints: dict[str, Fingerprint] = {}
    for sample, picture in zip(data.samples, pictures, strict=True):
        prints[sample.id] = of_thumbnail(picture, digest=sample.id, turned=sample.id)
    hashed = time.perf_counter() - began
    began = time.perf_counter()
    report = find_leaks(data, prints)
    compared = time.perf_counter() - began
    members = [set(group) for group in report.near.groups]
    grouped = {name: index for index, names in enumerate(members) for name in names}
    half = options.images // 2
    pairs = ((f"p/train/good/{index}", f"p/test/good/{half + index}") for index in range(copies))
    found = sum(grouped.get(one, -1) == grouped.get(other, -2) for one, other in pairs)
    photograph = cv2.resize(rng.integers(0, 255, (16, 16, 3), np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
    began = time.perf_counter()
    for _ in range(200):
        fingerprint(photograph)
    each = (time.perf_counter() - began) / 200
    print(f"{options.images} images, {options.clusters or 'no'} clusters, one core")
    told = "" if report.near.searched else ", too high to search"
    print(f"hashing thumbnails            {hashed:8.1f} s")
    print(f"finding leaks                 {compared:8.1f} s   (background {report.near.background:.4f}{told})")
    print(f"planted near-copies found     {found:8d} of {copies}; {report.near.hits} hits in all")
    print(f"fingerprints of 256² pictures {each * options.images:8.1f} s   ({1000 * each:.2f} ms each, decoding not counted)")
    print(f"peak memory                   {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:8.2f} GiB")


if __name__ == "__main__":
    main()
