"""How long a list of a million images takes to load, and how much memory: CSV, Parquet and JSON Lines, each in its own process.

python benchmarks/manifest.py [--rows 1000000] [--folders 1000]

The listed files are there, and empty: `load` looks that every one of them exists, and opens none. Seconds are those of the call,
without the start of Python; memory is the peak of the process, and how much of it was there before the call. `library` is the
time in which pyarrow (or `json`, line by line) alone reads the same file, in the same process; `all made` is the time in which
every sample is built once.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

FORMS = ("csv", "parquet", "jsonl")
ROW = "{form:8} {rows:>9} {seconds:>8.2f} {cpu:>8.2f} {library:>9.2f} {ratio:>6.1f} {peak:>8.0f} {before:>8.0f} {first:>9.2f}"


def rows_of(count: int, folders: int) -> Iterator[dict[str, str]]:
    """Rows in nobody's order: a third are anomalies with a mask; one column is carried through."""
    numbers = list(range(count))
    random.Random(0).shuffle(numbers)
    for number in numbers:
        folder, bad = f"line_{number % folders:04d}/images", number % 3 == 0
        yield {
            "image_path": f"{folder}/part_{number}.png",
            "category": f"product_{number % folders % 20}",
            "split": "test" if bad else "train",
            "class_name": f"defect_{number % 7}" if bad else "good",
            "mask_path": f"{folder}/part_{number}.png" if bad else "",
            "group_id": f"piece_{number // 6}",
            "camera": f"camera {number % 4}",
        }


def write(work: Path, count: int, folders: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = list(rows_of(count, folders))
    for folder in {row["image_path"].rpartition("/")[0] for row in rows}:
        (work / folder).mkdir(parents=True)
    for row in rows:
        os.mknod(work / row["image_path"])
    with (work / "list.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), work / "list.parquet", row_group_size=100_000)
    with (work / "list.jsonl").open("w") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def read_alone(path: Path) -> None:
    if path.suffix == ".jsonl":
        with path.open() as stream:
            for line in stream:
                json.loads(line)
    elif path.suffix == ".csv":
        from pyarrow import csv as arrow

        arrow.read_csv(path)
    else:
        import pyarrow.parquet as pq

        pq.read_table(path)


def peak() -> float:
    """The most MiB that this process has had (what `getrusage` says would count the process that started it)."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def measure(path: Path) -> dict[str, float]:
    import pyarrow.compute
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    import flawsmith

    _ = flawsmith.load
    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    data = flawsmith.load(path)
    seconds, cpu, most = time.perf_counter() - start, time.process_time() - cpu, peak()
    start = time.perf_counter()
    made = sum(sample.is_normal for sample in data.samples)
    walked = time.perf_counter() - start
    start = time.perf_counter()
    read_alone(path)
    library = time.perf_counter() - start
    assert made == sum(count for (_, _, defect), count in data.counts().items() if defect == "good")
    return {
        "rows": len(data),
        "seconds": seconds,
        "cpu": cpu,
        "library": library,
        "ratio": seconds / library,
        "peak": most,
        "before": before,
        "first": walked,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folders", type=int, default=1000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.measure)))
        return
    print("form          rows  seconds      cpu   library  ratio peak MiB   before  all made", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), chosen.rows, chosen.folders)
        for form in FORMS:
            command = [sys.executable, __file__, "--measure", f"{folder}/list.{form}"]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(ROW.format(form=form, **json.loads(told)), flush=True)


if __name__ == "__main__":
    main()
