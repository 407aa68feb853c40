"""Writing a synthetic set to disk: the same bytes with any number of workers, resumable after a kill, never half published.

OUT/<product>/<defect>/image/000000.png, …/mask/000000.png, optional …/clean/000000.png; OUT/manifest.jsonl, one line per image;
OUT/synth.json; OUT/contact_sheet.png. The set grows in a folder beside OUT and is renamed when whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith import __version__
from flawsmith.appearance.photometry import is_grey
from flawsmith.core.errors import BadParameter, DamagedFile, DataError, OutputError
from flawsmith.core.files import (
    LOCK,
    PARTIAL,
    canonical_json,
    new_folder,
    output_errors,
    publish,
    refuse_overlap,
    refuse_taken,
    sha256_bytes,
    sha256_file,
    sole_writer,
    staging_of,
    write_bytes,
    write_json,
    write_text,
)
from flawsmith.core.memory import keep_freed_memory
from flawsmith.core.progress import track
from flawsmith.core.requests import Anomaly
from flawsmith.core.samples import GOOD, Sample
from flawsmith.core.shots import Shots
from flawsmith.data.dataset import Dataset
from flawsmith.data.splits import AUTO
from flawsmith.synthesis.asked_masks import AskedMask
from flawsmith.synthesis.gallery import contact_sheet
from flawsmith.synthesis.sets import SyntheticSet, check_folder_name, provenance_of, replay
from flawsmith.synthesis.workers import records_of_workers

FORMAT = 1
MANIFEST = "manifest.jsonl"
HEADER = "synth.json"
SHEET = "contact_sheet.png"
RESUME = "resume.json"
SHEET_ITEMS = 8
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
PNG_FILTER = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH] if hasattr(cv2, "IMWRITE_PNG_FILTER") else []
"""One filter for every row is as small as trying all, and quicker; an OpenCV without the choice tries all."""


@dataclass(frozen=True)
class WrittenSet:
    """What was written.

    Args:
        folder: where.
        count: number of images.
        resumed: how many of them an earlier, interrupted run had made.
        defects: number of images by defect; `good` are those that nothing fitted into.
    """

    folder: Path
    count: int
    resumed: int
    defects: Mapping[str, int]


def write_set(made: SyntheticSet, out: Path, *, workers: int = 0, clean: bool = False, overwrite: bool = False) -> WrittenSet:
    """Make every item of a set and write it to `out`. A broken run goes on where it stopped when the same one is started again.

    Args:
        made: the set.
        out: a new or empty folder.
        workers: processes that make images; 0: this one alone.
        clean: write the picture without the defect too.
        overwrite: replace a synthetic set at `out`, at the end, by renaming.

    Raises:
        BadParameter: `workers` below 0.
        OutputError: `out` is taken, lies inside the data, or cannot be written; it is unchanged then.
        DataError: not one image took a defect (E_NO_PLACEMENT).
    """
    if workers < 0:
        raise BadParameter(f"workers is {workers}; expected 0 or more, as in --workers 2")
    keep_freed_memory()
    out = Path(out)
    replaceable = HEADER if overwrite else None
    refuse_overlap(out, [Path(made.data["root"])])
    refuse_taken(out, replaceable=replaceable)
    refuse_overlap(out, [folder for heritage in made.heritages().values() for folder in heritage.folders])
    staging = staging_of(out)
    with output_errors(staging), _growing(staging):
        done = _open_staging(staging, made, clean, overwrite)
        _grow(staging, made, range(done, len(made)), workers, clean)
        written = _finish(staging, made)
        (staging / RESUME).unlink()
        (staging / LOCK).unlink()
        publish(staging, out, replaceable=replaceable)
    return WrittenSet(out, len(made), done, written)


@contextmanager
def _growing(staging: Path) -> Iterator[None]:
    """The folder in which a set grows, ours alone. Where nothing was made, nothing stays."""
    with sole_writer(staging):
        try:
            yield
        except BaseException:
            if not (staging / MANIFEST).is_file() or (staging / MANIFEST).stat().st_size == 0:
                shutil.rmtree(staging, ignore_errors=True)
            raise


def _open_staging(staging: Path, made: SyntheticSet, clean: bool, overwrite: bool) -> int:
    """How many leading lines of an interrupted run of the same set have whole files; the manifest ends after them.

    Files of later items stay: `_write_once` leaves those alone that come out the same. What belongs to another set goes, where
    that was asked for.

    Raises:
        OutputError: the images of another set are there, and `overwrite` is not asked for.
    """
    identity = {"format": FORMAT, "set": _identity(made, clean)}
    resume = staging / RESUME
    same = resume.is_file() and resume.read_text(encoding="utf-8") == canonical_json(identity)
    if not same:
        if not overwrite and (staging / MANIFEST).is_file() and (count := len((staging / MANIFEST).read_bytes().splitlines())):
            raise OutputError(
                f"{staging} holds {count} images of an interrupted run that was another (other options, pictures or version); "
                f"expected the same command: give that one again, or add --overwrite to begin anew"
            )
        _clear(staging)
        write_text(resume, canonical_json(identity))
        write_json(staging / HEADER, _header(made, clean))
    (staging / MANIFEST).touch()
    for leftover in staging.rglob(f"*{PARTIAL}"):
        leftover.unlink()
    ends = list(track(_ends_of_whole_lines(staging), "checking what is there", total=len(made)))
    os.truncate(staging / MANIFEST, ends[-1] if ends else 0)
    return len(ends)


def _clear(staging: Path) -> None:
    for entry in staging.iterdir():
        if entry.name == LOCK:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _identity(made: SyntheticSet, clean: bool) -> str:
    """Digest of the recipe, the version and the state of every file the set starts from."""
    stamps = {name: [_stamp(s) for s in (*support.normals, *support.anomalies)] for name, support in made.supports.items()}
    before = [heritage.state for heritage in made.heritages().values()]
    return sha256_bytes(canonical_json([__version__, made.recipe.model_dump(mode="json"), clean, stamps, before]).encode())


def _stamp(sample: Sample) -> list[Any]:
    file = Path(sample.source.location)
    if not file.is_file():
        return [sample.id, sample.digest()]
    status = file.stat()
    return [sample.id, status.st_size, status.st_mtime_ns]


def _header(made: SyntheticSet, clean: bool) -> dict[str, Any]:
    before = made.heritages()
    supports = made.supports.items()
    real = any(support.anomalies for _, support in supports)
    return {
        "format": FORMAT,
        "version": __version__,
        "recipe": made.recipe.model_dump(mode="json"),
        "recipe_sha256": made.recipe.digest(),
        "clean": clean,
        "data": dict(made.data),
        "split": {name: sources.to_json() for name, sources in made.sources.items()},
        "uses_real_anomalies": real or any(heritage.uses_real_anomalies for heritage in before.values()),
        "trained_on": {name: sorted(support.ids | before[name].ids) for name, support in supports},
        "named_sources": {name: sorted(heritage.names) for name, heritage in before.items()},
        "learned_from": {name: sorted(map(list, heritage.real)) for name, heritage in before.items()},
        "warnings": sorted({warning for heritage in before.values() for warning in heritage.warnings}),
    }


def _ends_of_whole_lines(staging: Path) -> Iterator[int]:
    """Where each of the leading lines of the manifest ends that are complete and whose files have their hashes, in bytes."""
    end = 0
    with (staging / MANIFEST).open("rb") as lines:
        for index, line in enumerate(lines):
            try:
                record = json.loads(line)
                whole = line.endswith(b"\n") and record["index"] == index and _files_match(staging, record["files"])
            except (ValueError, KeyError, TypeError):
                return
            if not whole:
                return
            end += len(line)
            yield end


def _files_match(staging: Path, files: Mapping[str, Mapping[str, str]]) -> bool:
    paths = ((staging / file["path"], file["sha256"]) for file in files.values())
    return all(path.is_file() and sha256_file(path) == digest for path, digest in paths)


def _grow(staging: Path, made: SyntheticSet, indices: range, workers: int, clean: bool) -> None:
    records = _records(staging, made, indices, workers, clean)
    with (staging / MANIFEST).open("ab") as manifest:
        for record in track(records, "synthesizing", total=len(made), start=indices.start):
            manifest.write(_line(record))
            manifest.flush()


def _records(staging: Path, made: SyntheticSet, indices: range, workers: int, clean: bool) -> Iterator[dict[str, Any]]:
    if workers == 0 or len(indices) == 0:
        return (write_item(made, index, staging, clean) for index in indices)
    return records_of_workers(write_item, made, indices, staging, clean, workers)


def _line(record: Mapping[str, Any]) -> bytes:
    return (canonical_json(record) + "\n").encode()


def write_item(made: SyntheticSet, index: int, folder: Path, clean: bool) -> dict[str, Any]:
    """Make item `index`, write its files under `folder`, and return its manifest line."""
    recipe = made.recipe
    return write_anomaly(made[index], made.product_of(index), index, folder, clean, recipe.split, recipe.defect_shots, made.asked)


def write_anomaly(
    anomaly: Anomaly,
    product: str,
    index: int,
    folder: Path,
    clean: bool,
    split: str,
    defect_shots: int | str = 0,
    asked: AskedMask | None = None,
) -> dict[str, Any]:
    """Write one anomaly's files and return its manifest line.

    Raises:
        BadParameter: the product or the defect cannot name a folder.
    """
    check_folder_name(product, "product")
    check_folder_name(anomaly.defect, "defect")
    pictures: dict[str, NDArray[np.uint8]] = {"image": anomaly.image, "mask": anomaly.mask.astype(np.uint8) * 255}
    if clean and anomaly.clean is not None:
        pictures["clean"] = anomaly.clean
    files = {}
    for kind, pixels in pictures.items():
        path = f"{product}/{anomaly.defect}/{kind}/{index:06d}.png"
        data = encode_png(pixels)
        _write_once(folder / path, data)
        files[kind] = {"path": path, "sha256": sha256_bytes(data)}
    provenance = anomaly.provenance.to_json()
    return {
        "index": index,
        "product": product,
        "defect": anomaly.defect,
        "source": anomaly.provenance.normal_id,
        "split": split,
        "defect_shots": defect_shots,
        "asked_mask": None if asked is None else asked.to_json(),
        "files": files,
        "provenance": provenance,
    }


def _write_once(path: Path, data: bytes) -> None:
    """Write a file unless it is there already: of an interrupted run, whose last items are on disk before their lines are."""
    if not (path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data):
        write_bytes(path, data)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of uint8 H×W×3 RGB, or of H×W; three equal channels become one, as they were read from."""
    if pixels.ndim == 2 or is_grey(pixels):
        single = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, 0])
        _, data = cv2.imencode(".png", single, [*PNG, *PNG_FILTER])
    else:
        _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [*PNG, *PNG_FILTER])
    return data.tobytes()


def _finish(staging: Path, made: SyntheticSet) -> dict[str, int]:
    counted: Counter[str] = Counter()
    with (staging / MANIFEST).open("rb") as lines:
        shown = _shown(_counting(map(json.loads, lines), counted))
    defects = dict(sorted(counted.items()))
    if set(defects) == {GOOD}:
        (staging / MANIFEST).unlink()
        raise DataError(
            "E_NO_PLACEMENT",
            f"none of {len(made)} images took a defect; expected normals with some structure and a foreground large enough: "
            f"look at the images, or set foreground=none",
        )
    sheet = contact_sheet(made[index] for index in shown)
    write_bytes(staging / SHEET, encode_png(sheet))
    return defects


def _counting(lines: Iterable[Mapping[str, Any]], counted: Counter[str]) -> Iterator[Mapping[str, Any]]:
    """The lines, their defects counted on the way."""
    for line in lines:
        counted[line["defect"]] += 1
        yield line


def _shown(lines: Iterable[Mapping[str, Any]]) -> list[int]:
    """The items on the contact sheet: the first of every method, then the second, and so on; no normals."""
    seen: Counter[str] = Counter()
    ranked = []
    for line in lines:
        method = line["provenance"]["method"]
        if line["defect"] != GOOD and seen[method] < SHEET_ITEMS:
            ranked.append((seen[method], method, line["index"]))
            seen[method] += 1
    chosen = sorted(ranked)[:SHEET_ITEMS]
    return [index for _, _, index in sorted(chosen, key=lambda item: (item[1], item[2]))]


def find_line(text: str) -> dict[str, Any]:
    """A manifest line: FILE:INDEX, as in `set/manifest.jsonl:17`, or the line itself.

    Raises:
        DamagedFile: no such file or line, or no manifest line.
    """
    if not text.lstrip().startswith("{"):
        file, _, index = text.rpartition(":")
        text = _line_in(Path(file), index)
    provenance_of(text)
    return dict(json.loads(text))


def _line_in(manifest: Path, index: str) -> str:
    try:
        found = index.isdecimal() and manifest.is_file()
    except OSError:  # such as a name that is too long
        found = False
    if not found:
        told = f"{manifest}:{index}" if str(manifest) != "." else index
        raise DamagedFile(f"{told} names no manifest line; expected FILE:INDEX, as in set/manifest.jsonl:17, or the line itself")
    wanted, count = index.lstrip("0") or "0", 0
    with manifest.open("rb") as lines:
        for count, line in enumerate(lines, 1):
            if str(count - 1) == wanted:
                return line.decode(errors="replace")
    raise DamagedFile(f"{manifest} has no line {index:.20}; expected an index below {count}: lines are counted from 0")


def write_replay(
    record: Mapping[str, Any], data: Dataset, out: Path, *, clean: bool = False, overwrite: bool = False
) -> dict[str, Any]:
    """Make one manifest line again and write its files to the new folder `out`.

    Image and mask are compared with the line's hashes; so is the picture without the defect where both have it.

    Returns:
        The new manifest line.

    Raises:
        DamagedFile: the line is incomplete, or the pixels differ from its hashes: the data changed, or the version did.
        BadParameter: its product or defect cannot name a folder.
    """
    product, index, hashes = _told(record)
    anomaly = replay(record, data)
    with new_folder(out, replaceable=MANIFEST if overwrite else None) as staging:
        started = (str(record.get("split", AUTO)), Shots.parse(record.get("defect_shots", 0)).spelled())
        again = write_anomaly(anomaly, product, index, staging, clean, *started, AskedMask.from_json(record.get("asked_mask")))
        for kind in compared(record, again):
            if again["files"][kind]["sha256"] != hashes[kind]:
                raise DamagedFile(
                    f"the {kind} of line {index} comes out different; expected the same pixels: use its own data and "
                    f"version {record['provenance']['version']} (this is {__version__})"
                )
        write_bytes(staging / MANIFEST, _line(again))
    return again


def compared(record: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """The kinds of files that a line and the one made from it both have, such as image and mask."""
    return [kind for kind in again["files"] if kind in record["files"]]


def _told(record: Mapping[str, Any]) -> tuple[str, int, dict[str, str]]:
    """Product, index and hashes of a manifest line, which must hold those of an image and its mask."""
    try:
        product, index, files = record["product"], record["index"], record["files"]
        hashes = {str(kind): file["sha256"] for kind, file in files.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"this is no manifest line ({error}); expected one line of manifest.jsonl: copy it whole") from error
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise DamagedFile(f"the index of this line is {index!r}; expected a number from 0 on: copy the line whole")
    missing = [kind for kind in ("image", "mask") if not isinstance(hashes.get(kind), str)]
    if missing:
        raise DamagedFile(f"line {index} has no hash of its {missing[0]}; expected those of image and mask: copy the line whole")
    check_folder_name(product, "product")
    return product, index, hashes
