"""Miniature data sets in the naming of the real ones; knows nothing of flawsmith.data."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def texture(seed: int, height: int = 36, width: int = 44) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 7, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.array(coarse) + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def blob(height: int = 36, width: int = 44, value: int = 255, row: int = 10, column: int = 20, side: int = 6) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[row : row + side, column : column + side] = value
    return mask


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


class Tree:
    """Files to be written, in a shuffled order; every image has other pixels."""

    def __init__(self, root: Path) -> None:
        self.root, self.jobs, self.number = root, [], 0

    def image(self, path: str, height: int = 36, width: int = 44) -> Tree:
        self.number += 1
        seed = self.number
        return self._later(lambda: save(self.root / path, texture(seed, height, width)))

    def images(self, folder: str, stems: Sequence[object], suffix: str = ".png") -> Tree:
        for stem in stems:
            self.image(f"{folder}/{stem}{suffix}")
        return self

    def mask(self, path: str, **options: int) -> Tree:
        return self._later(lambda: save(self.root / path, blob(**options)))

    def masks(self, folder: str, stems: Sequence[object], ending: str = "_mask.png") -> Tree:
        for stem in stems:
            self.mask(f"{folder}/{stem}{ending}")
        return self

    def text(self, path: str, content: str) -> Tree:
        def write() -> None:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(content, encoding="utf-8")

        return self._later(write)

    def _later(self, job: Callable[[], object]) -> Tree:
        self.jobs.append(job)
        return self

    def write(self, order: int = 0) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        random.Random(order).shuffle(self.jobs)
        for job in self.jobs:
            job()
        return self.root


def mvtec(root: Path, products: Sequence[str] = ("bottle", "cable")) -> Tree:
    tree = Tree(root)
    for product in products:
        tree.images(f"{product}/train/good", ["000", "001", "002", "003"])
        tree.images(f"{product}/test/good", ["000", "001"])
        for defect, stems in (("crack", ["000", "001", "002"]), ("hole", ["000", "001"])):
            tree.images(f"{product}/test/{defect}", stems)
            tree.masks(f"{product}/ground_truth/{defect}", stems)
    return tree


def pool(root: Path, good: str = "good", bad: Sequence[str] = ("scratches", "dents"), masks: str = "masks") -> Tree:
    tree = Tree(root)
    tree.images(good, range(1, 9))
    for defect in bad:
        tree.images(defect, range(1, 4))
        tree.masks(f"{masks}/{defect}", range(1, 4), ".png")
    return tree


def mtd(root: Path, runs: Sequence[tuple[str, int, int]]) -> Tree:
    """`runs` of (class, first number, how many exposures)."""
    tree = Tree(root)
    for name, first, count in runs:
        for exposure in range(count):
            stem = f"exp{exposure + 1}_num_{first + 9 * exposure}"
            tree.image(f"MT_{name}/Imgs/{stem}.jpg")
            tree.mask(f"MT_{name}/Imgs/{stem}.png", value=0 if name == "Free" else 255)
    return tree


def elpv(root: Path, rows: Sequence[tuple[str, str]]) -> Tree:
    """`rows` of (probability, type)."""
    tree = Tree(root)
    lines = []
    for index, (probability, kind) in enumerate(rows):
        name = f"images/cell{index + 1:04d}.png"
        tree.image(name, 16, 16)
        lines.append(f"{name}  {probability:<18}  {kind}")
    return tree.text("labels.csv", "\n".join(lines) + "\n")
