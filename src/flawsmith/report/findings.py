"""What an inspector says of new photographs, as a folder: `scores.csv`, `maps/*.npy`, `overlays/*.png`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from flawsmith.core.detector import Prediction
from flawsmith.core.errors import DataError
from flawsmith.core.files import new_folder, refuse_overlap, write_bytes, write_text
from flawsmith.core.progress import track
from flawsmith.data.layouts.folder import MASK_NAMES
from flawsmith.data.reading import Scale, read_image
from flawsmith.data.scales import parse_scale
from flawsmith.data.tree import scan, split_suffix
from flawsmith.inspection.inspector import Inspector
from flawsmith.report.pictures import overlay, scale_of

TABLE = "scores.csv"
COLUMNS = ("image", "score", "threshold", "verdict", "defect", "map", "overlay")


def write_findings(inspector: Inspector, paths: Sequence[Path], out: Path, *, overwrite: bool = False) -> list[dict[str, Any]]:
    """Predict images and write the findings; nothing is written if one of them cannot be read.

    Args:
        inspector: a trained inspector.
        paths: image files, or folders that are searched for images.
        out: a new folder: `scores.csv`, `maps/NAME.npy` (float32 H×W, raw), `overlays/NAME.png` (one colour scale for all).
        overwrite: replace the findings at `out`; a folder without `scores.csv` is never replaced.

    Returns:
        One dictionary per image, with the columns of `scores.csv`.

    Raises:
        DataError: no image, or one that cannot be read.
        OutputError: `out` is taken or cannot be written.
    """
    files = image_files(paths)
    refuse_overlap(out, paths)
    with new_folder(out, replaceable=TABLE if overwrite else None) as folder:
        scale = parse_scale(inspector.origin.scale) if inspector.origin.scale else None
        predictions = inspector.predict(read_image(file, scale) for file in files)
        told = zip(files, unique_names(files), track(predictions, "looking at images", total=len(files)), strict=True)
        rows = [_kept(folder, file, name, prediction) for file, name, prediction in told]
        _draw_overlays(folder, files, rows, inspector.threshold.value, scale)
        write_text(folder / TABLE, _table(rows))
    return rows


def image_files(paths: Iterable[Path]) -> list[Path]:
    """The images that the paths name; folders are searched in natural order, folders of masks left out.

    Raises:
        DataError: a path that does not exist, or no image at all (E_ROOT).
    """
    found = [file for path in paths for file in _images_at(path)]
    if not found:
        raise DataError(
            "E_ROOT", "no image among the given paths; expected files ending in png, jpg, bmp, tif or webp: check them"
        )
    return found


def _images_at(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (path / name for name in scan(path).top.all_images() if not set(Path(name).parts[:-1]) & set(MASK_NAMES))
    elif path.exists():
        yield path
    else:
        raise DataError("E_ROOT", f"{path} does not exist; expected an image or a folder of images: check the path", [path])


def unique_names(files: Sequence[Path]) -> list[str]:
    """A name for each file: its stem, with a number where another file has the same."""
    names: list[str] = []
    taken: set[str] = set()
    for file in files:
        stem = split_suffix(file.name)[0]
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _kept(folder: Path, file: Path, name: str, prediction: Prediction) -> dict[str, Any]:
    stream = io.BytesIO()
    np.save(stream, prediction.map, allow_pickle=False)
    write_bytes(folder / "maps" / f"{name}.npy", stream.getvalue())
    values = (prediction.score, prediction.threshold, prediction.verdict, prediction.defect)
    return dict(zip(COLUMNS, (str(file), *values, f"maps/{name}.npy", f"overlays/{name}.png"), strict=True))


def _draw_overlays(
    folder: Path, files: Sequence[Path], rows: Sequence[dict[str, Any]], threshold: float, values: Scale | None
) -> None:
    def maps() -> Iterator[Any]:
        return (np.load(folder / row["map"], allow_pickle=False) for row in rows)

    scale = scale_of(maps(), threshold)
    for file, row, anomaly_map in zip(files, rows, maps(), strict=True):
        drawn = overlay(read_image(file, values), anomaly_map, scale=scale)
        write_bytes(folder / row["overlay"], cv2.imencode(".png", drawn[:, :, ::-1])[1].tobytes())


def _table(rows: Sequence[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
