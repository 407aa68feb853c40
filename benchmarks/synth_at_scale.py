"""`flawsmith synth` at scale: a large set of a mix, killed on the way and resumed, against the same set made in one go.

    python benchmarks/synth_at_scale.py [-n 10000] [--side 256] [--normals 400] [--workers 2] [--synth NAME:WEIGHT,…]
        [--replays 100] [--json F]

A folder of computed normals; `flawsmith synth` with a terminal for its bar, ended by SIGKILL at a third and at two thirds,
started again with the same command; then once more elsewhere without a kill. Told and checked: nothing that was whole at a
kill is written again (inode and time of change), no partial file and no worker is left behind, the manifest has every line in
order, every file its SHA-256, both sets are equal byte for byte, random lines replayed in fresh processes from the line and
the data folder alone give the same bytes. Resident memory of the unbroken run, of every process by itself, from one tenth of
the images to the last, mapped files included: the normals are more than a process keeps, so that its cache is full, and growth
is a leak. The mix is of every method that works from good pictures alone, unless `--synth` says otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from flawsmith.appearance.surfaces import surface
from flawsmith.core.registry import synthesizers
from flawsmith.core.seeding import Seed
from flawsmith.synthesis.writing import encode_png

COMMAND = [sys.executable, "-c", "from flawsmith.cli import main; main()"]
NORMALS = 400
"""More than `picture_cache` keeps, so that what it holds counts."""

ALONE = {"normal", "normals", "textures", "foreground"}
"""Needs that a folder of good pictures meets."""

POLL_SECONDS = 0.2
MOST_MB = 50
"""What the resident memory of a process may grow by."""


@dataclass
class Outcome:
    """What was found; every count of wrongs is 0 where the claim holds.

    Args:
        images: in the set.
        seconds: of the unbroken run.
        kills: at how many images each was.
        written_twice: files that were whole at a kill and were written again.
        partial: files half written that stayed after the end.
        orphans: workers that outlived a killed parent.
        missing_lines: of the manifest.
        wrong_hashes: files that differ from their line, or are not there.
        unlisted: files that no line names.
        unlike_unbroken: files that differ from those of the run that was not killed.
        replays: how many lines were made again.
        unlike_replayed: how many of those came out different.
        bar: whether the terminal showed the progress.
        growth_mb: resident memory at the end less that at a tenth of the images, the greatest over the processes.
        peak_mb: the most that one process held.
    """

    images: int
    seconds: float = 0.0
    kills: list[int] = field(default_factory=list)
    written_twice: int = 0
    partial: int = 0
    orphans: int = 0
    missing_lines: int = 0
    wrong_hashes: int = 0
    unlisted: int = 0
    unlike_unbroken: int = 0
    replays: int = 0
    unlike_replayed: int = 0
    bar: bool = False
    growth_mb: dict[str, float] = field(default_factory=dict)
    peak_mb: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong; the bar is not asked of runs too short to show one."""
        wrongs = (self.written_twice, self.partial, self.orphans, self.missing_lines, self.wrong_hashes, self.unlisted)
        grown = max(self.growth_mb.values(), default=0.0)
        return not any((*wrongs, self.unlike_unbroken, self.unlike_replayed)) and grown < MOST_MB


class Run:
    """One `flawsmith synth`, watched: how far it is, the memory of its processes, what its terminal showed."""

    def __init__(self, arguments: Sequence[str], out: Path) -> None:
        self.manifest = out.with_name(f".{out.name}.partial") / "manifest.jsonl"
        self.memory: list[tuple[int, dict[int, float]]] = []
        self._shown: list[bytes] = []
        master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=slave, start_new_session=True, env=environment
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, args=(master,), daemon=True)
        self._reader.start()
        self._done, self._at = 0, 0

    def _read(self, master: int) -> None:
        try:
            while data := os.read(master, 4096):
                self._shown.append(data)
        except OSError:  # the terminal is closed when the last process is gone
            pass

    @property
    def shown(self) -> str:
        """What the terminal has seen."""
        return b"".join(self._shown).decode("utf-8", "replace")

    def count(self) -> int:
        """Lines in the manifest."""
        if self.manifest.is_file():
            with self.manifest.open("rb") as lines:
                lines.seek(self._at)
                fresh = lines.read()
            self._done, self._at = self._done + fresh.count(b"\n"), self._at + len(fresh)
        return self._done

    def until(self, wanted: int | None) -> int:
        """Watch until so many lines are there, or to the end; how many there are."""
        while self.process.poll() is None:
            count = self.count()
            self.memory.append((count, resident(self.process.pid)))
            if wanted is not None and count >= wanted:
                return count
            time.sleep(POLL_SECONDS)
        if self.process.returncode:
            raise SystemExit(f"flawsmith synth failed:\n{self.shown}")
        return self._done

    def kill(self) -> set[int]:
        """SIGKILL the command alone; the processes it had started."""
        children = set(resident(self.process.pid)) - {self.process.pid}
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return children


def resident(root: int) -> dict[int, float]:
    """Megabytes of resident memory of a process and of those it started, by process id."""
    parents, sizes = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                told = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
            except OSError:
                continue
            parents[int(folder.name)] = int(told["PPid"])
            sizes[int(folder.name)] = int(told.get("VmRSS", "0 kB").split()[0]) / 1024
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {pid: sizes[pid] for pid in family if sizes.get(pid)}


def fill(folder: Path, side: int, normals: int) -> None:
    """Good pictures of a weave."""
    for k in range(normals):
        path = folder / "train" / "good" / f"{k:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(surface("weave", Seed(0, ("scale", k)), (side, side)).image))


def everything() -> str:
    """Every method that a folder of good pictures is enough for."""
    names = [name for name, e in synthesizers.entries.items() if e.traits.needs <= ALONE and not e.traits.uses_real_anomalies]
    return ",".join(name for name in names if takes_no_members(name))


def takes_no_members(name: str) -> bool:
    return "members" not in synthesizers.entry(name).resolve().model_fields


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every picture that is whole."""
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.rglob("*.png") if whole(p)}


def whole(path: Path) -> bool:
    return not path.name.startswith(".")


def alive(pids: set[int], seconds: float = 10) -> int:
    """How many of the processes are still there after a while."""
    deadline = time.monotonic() + seconds
    while (left := {pid for pid in pids if Path(f"/proc/{pid}").exists()}) and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(left)


def made_with_kills(arguments: Sequence[str], out: Path, kills: Sequence[int], outcome: Outcome) -> None:
    """Run, kill at each number of images, run again to the end."""
    staging, before = out.with_name(f".{out.name}.partial"), dict[str, tuple[int, int]]()
    for wanted in kills:
        run = Run(arguments, out)
        outcome.kills.append(run.until(wanted))
        outcome.orphans += alive(run.kill())
        now = stamps(staging)
        outcome.written_twice += changed(before, now)
        before = now
    run = Run(arguments, out)
    run.until(None)
    outcome.written_twice += changed(before, stamps(out))


def changed(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> int:
    return sum(after.get(name) != stamp for name, stamp in before.items())


def check_set(out: Path, outcome: Outcome) -> list[str]:
    """Every line in order, every hash right, no file beside; the lines."""
    lines = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    outcome.missing_lines = len(set(range(outcome.images)) - {record["index"] for record in records})
    outcome.missing_lines += [record["index"] for record in records] != list(range(outcome.images))
    files = {file["path"]: file["sha256"] for record in records for file in record["files"].values()}
    outcome.wrong_hashes = sum(not is_file_of(out / path, digest) for path, digest in files.items())
    there = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    outcome.unlisted = len(there - set(files) - {"manifest.jsonl", "synth.json", "contact_sheet.png"})
    outcome.partial = sum(path.name.endswith(".partial") for path in out.parent.rglob("*"))
    return lines


def is_file_of(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def differing(one: Path, other: Path) -> int:
    """How many files of two folders are not the same bytes under the same name."""
    names = {str(p.relative_to(folder)) for folder in (one, other) for p in folder.rglob("*") if p.is_file()}
    same = ((one / name).is_file() and (other / name).is_file() and same_bytes(one / name, other / name) for name in names)
    return sum(not equal for equal in same)


def same_bytes(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def replay(data: Path, out: Path, line: str, again: Path) -> bool:
    """Whether a fresh process makes the same bytes from a line and the data folder."""
    subprocess.run([*COMMAND, "synth", str(data), "--replay", line, "--out", str(again)], check=True, stdout=subprocess.DEVNULL)
    paths = [file["path"] for file in json.loads(line)["files"].values()]
    equal = all(same_bytes(out / path, again / path) for path in paths)
    shutil.rmtree(again)
    return equal


def growth(memory: Sequence[tuple[int, dict[int, float]]], images: int, main: int) -> Iterator[tuple[str, float]]:
    """By process, the most it held after a tenth of the images less what it held there."""
    later = [held for count, held in memory if count >= images // 10]
    for number, pid in enumerate(pid for pid in (later[0] if later else {})):
        held = [sizes[pid] for sizes in later if pid in sizes]
        yield ("main" if pid == main else f"process {number}"), max(held) - held[0]


def claim(
    n: int,
    side: int,
    workers: int,
    synth: str,
    replays: int,
    folder: Path,
    normals: int = NORMALS,
    kills: Sequence[float] = (1 / 3, 2 / 3),
) -> Outcome:
    """Make the set both ways under `folder` and compare."""
    outcome, data = Outcome(n), folder / "weave"
    fill(data, side, normals)
    common = ["synth", str(data), "--synth", synth, "-n", str(n), "--workers", str(workers), "--seed", "3"]
    killed, unbroken = folder / "killed", folder / "unbroken"
    made_with_kills([*common, "--out", str(killed)], killed, [round(share * n) for share in kills], outcome)
    began = time.monotonic()
    run = Run([*common, "--out", str(unbroken)], unbroken)
    run.until(None)
    outcome.seconds = round(time.monotonic() - began, 1)
    outcome.bar = "synthesizing" in run.shown
    outcome.growth_mb = {name: round(mb, 1) for name, mb in growth(run.memory, n, run.process.pid)}
    outcome.peak_mb = round(max((mb for _, held in run.memory for mb in held.values()), default=0.0), 1)
    lines = check_set(killed, outcome)
    outcome.unlike_unbroken = differing(killed, unbroken)
    outcome.replays = min(replays, n)
    chosen = random.Random(0).sample(lines, outcome.replays)
    with ThreadPoolExecutor(2) as pool:
        same = pool.map(lambda k: replay(data, killed, chosen[k], folder / f"again{k}"), range(len(chosen)))
        outcome.unlike_replayed = sum(not equal for equal in same)
    return outcome


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--normals", type=int, default=NORMALS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--synth", default="")
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    synth = options.synth or everything()
    print(
        f"{options.n} images of {options.side}² from {options.normals} normals by {synth}, {options.workers} workers", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        outcome = claim(options.n, options.side, options.workers, synth, options.replays, Path(folder), options.normals)
    for name, value in asdict(outcome).items():
        print(f"{name}: {value}")
    print(f"{outcome.images / outcome.seconds:.0f} images per second; the claim {'holds' if outcome.holds else 'FAILS'}")
    if options.json:
        options.json.write_text(json.dumps({**asdict(outcome), "holds": outcome.holds}, indent=2) + "\n")
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
