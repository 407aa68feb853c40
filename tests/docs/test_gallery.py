"""The gallery's command: the same bytes on every run, a page that shows what a method refused."""

import re
import subprocess
import sys
from pathlib import Path

from flawsmith.core.registry import synthesizers

ROOT = Path(__file__).parents[2]


def gallery(*arguments):
    command = [sys.executable, str(ROOT / "docs" / "gallery.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_photographs_have_a_gallery_with_the_same_bytes_on_every_run(tiles, tmp_path):
    for name in ("one", "two"):
        gallery(tiles, "--out", tmp_path / name, "--methods", "cutpaste,draem,mix")
    for picture in ("cutpaste.png", "draem.png", "mix.png", "index.html"):
        assert (tmp_path / "one" / picture).read_bytes() == (tmp_path / "two" / picture).read_bytes()
    assert '<img src="draem.png"' in (tmp_path / "one" / "index.html").read_text()


def test_what_a_method_refuses_stands_on_the_page(tmp_path, tiles):
    good = tmp_path / "good_only"
    (good / "good").mkdir(parents=True)
    for path in sorted((tiles / "train" / "good").iterdir())[:9]:
        (good / "good" / path.name).write_bytes(path.read_bytes())
    gallery(good, "--out", tmp_path / "out", "--methods", "cutpaste,cutpaste_by_mask")
    assert not (tmp_path / "out" / "cutpaste_by_mask.png").exists()
    assert "real anomalies" in (tmp_path / "out" / "index.html").read_text()


def test_the_page_shows_every_method():
    shown = re.findall(r"images/synthesis/(\w+)\.png", (ROOT / "docs" / "synthesis" / "gallery.md").read_text())
    assert shown == list(synthesizers.entries)


def test_pictures_stay_small():
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "images").rglob("*.png")) < 6_000_000
