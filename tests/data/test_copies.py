"""Photographs among other files: found by their pixels, and only they."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawsmith.core.samples import Sample
from flawsmith.data import copies
from flawsmith.data.copies import copies_of
from flawsmith.data.reading import FileSource

TURNS = [lambda p, k=k, flip=flip: np.rot90(p[:, ::-1] if flip else p, k) for k in range(4) for flip in (False, True)]


def picture(seed, height=24, width=36):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, **options)
    return path


@pytest.fixture
def photographs(tmp_path):
    for number in range(3):
        save(tmp_path / "photos" / f"{number}.png", picture(number))
    return [
        Sample(f"p/test/good/{n}", "p", "good", "test", str(n), FileSource(tmp_path / "photos", f"{n}.png", "good"))
        for n in range(3)
    ]


def found(files, photographs):
    return [(file.name, sample.id) for file, sample in copies_of(files, photographs)]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
@pytest.mark.parametrize("turn", TURNS)
def test_a_copy_is_found_in_any_lossless_format_and_orientation(suffix, turn, tmp_path, photographs):
    copy = save(tmp_path / f"copy.{suffix}", turn(picture(1)))
    other = save(tmp_path / f"other.{suffix}", turn(picture(7)))
    assert found([other, copy], photographs) == [(copy.name, "p/test/good/1")]


def test_other_pictures_are_not(tmp_path, photographs):
    shuffled = picture(1).reshape(-1, 3)[::-1].copy()
    shuffled[[0, 5]] = shuffled[[5, 0]]
    files = [
        save(tmp_path / "same_histogram.png", shuffled.reshape(24, 36, 3)),
        save(tmp_path / "one_pixel.png", np.where(np.arange(36)[None, :, None] == 7, picture(1) ^ 1, picture(1))),
        save(tmp_path / "larger.png", picture(1, 30, 36)),
        save(tmp_path / "compressed.jpg", picture(1), quality=95),
    ]
    assert found(files, photographs) == []


def test_what_cannot_be_read_is_passed_over(tmp_path, photographs):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    copy = save(tmp_path / "copy.png", picture(2))
    (tmp_path / "photos" / "0.png").write_bytes((tmp_path / "photos" / "0.png").read_bytes()[:200])
    assert found([tmp_path / "broken.png", tmp_path / "missing.png", copy], photographs) == [("copy.png", "p/test/good/2")]


def test_pictures_of_other_sizes_cost_their_headers_alone(tmp_path, photographs, monkeypatch):
    files = [save(tmp_path / f"{number}.png", picture(number, 50, 60)) for number in range(3)]

    def decoded(*arguments):
        raise AssertionError("decoded")

    monkeypatch.setattr(copies, "read_image", decoded)
    monkeypatch.setattr(FileSource, "image", decoded)
    assert found(files, photographs) == []
