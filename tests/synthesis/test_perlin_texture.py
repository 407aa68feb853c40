"""What DRAEM, DeSTSeg and MemSeg share, asked of DRAEM."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from flawsmith.core.errors import NeedUnmet, UnknownName
from flawsmith.core.samples import SupportSet
from flawsmith.synthesis.destseg import DeSTSeg
from flawsmith.synthesis.draem import Draem
from flawsmith.synthesis.memseg import MemSeg
from flawsmith.synthesis.perlin_texture import as_picture


@pytest.fixture
def folder(tmp_path):
    """folder(*values): a folder of plain pictures, of these grey levels."""

    def write(*values):
        for value in values:
            cv2.imwrite(str(tmp_path / f"{value:03d}.png"), np.full((30, 30, 3), value, np.uint8))
        return str(tmp_path)

    return write


@pytest.mark.parametrize("method", [Draem, DeSTSeg])
def test_the_opacity_is_flat_from_a_fifth_to_one(made, noise, method):
    pixels = noise(32, 32)
    opacities = np.array([made(method(), pixels, seed).provenance.drawn["opacity"] for seed in range(2000)])
    assert opacities.min() > 0.2
    assert opacities.max() <= 1
    counts, _ = np.histogram(opacities, 8, (0.2, 1.0))
    standard_error = np.sqrt(2000 * (1 / 8) * (7 / 8))
    assert np.abs(counts - 250).max() < 3 * standard_error


def test_what_is_switched_off_does_not_move_the_rest(made, noise):
    pixels = noise()
    for seed in range(20):
        plain, changed = made(Draem(operators=0), pixels, seed), made(Draem(), pixels, seed)
        np.testing.assert_array_equal(plain.mask, changed.mask)
        for key in ("texture", "opacity"):
            assert plain.provenance.drawn[key] == changed.provenance.drawn[key]


def test_every_texture_is_drawn_as_often(made, noise, folder):
    method, pixels = Draem(textures=folder(1, 50, 99, 200), operators=0), noise(32, 32)
    names = [made(method, pixels, seed).provenance.drawn["texture"] for seed in range(1000)]
    counts = np.unique(names, return_counts=True)[1]
    assert len(counts) == 4
    assert np.abs(counts - 250).max() < 3 * np.sqrt(1000 * 0.25 * 0.75)


def test_only_so_many_textures_are_used(made, noise, folder):
    method = Draem(textures=folder(1, 50, 99, 200), max_textures=2, operators=0)
    drawn = {made(method, noise(32, 32), seed).provenance.drawn["texture"] for seed in range(40)}
    assert drawn == {"001.png", "099.png"}


def test_a_texture_that_changes_nothing_is_replaced(made, folder):
    black = np.zeros((64, 64, 3), np.uint8)
    method = Draem(textures=folder(0, 200), operators=0)
    anomalies = [made(method, black, seed) for seed in range(60)]
    assert {a.provenance.drawn["texture"] for a in anomalies} == {"200.png"}
    assert max(a.provenance.attempts for a in anomalies) > 1
    assert min(a.provenance.attempts for a in anomalies) == 1


def test_nothing_that_changes_anything_is_a_normal(made, folder):
    black = np.zeros((64, 64, 3), np.uint8)
    textures = folder(0, 1)
    anomaly = made(Draem(textures=textures, operators=0), black)
    assert anomaly.is_normal
    assert anomaly.provenance.status == "no_placement"
    np.testing.assert_array_equal(anomaly.image, black)
    kept = made(Draem(textures=textures, operators=0, require_change=False), black)
    assert kept.mask.any()
    assert kept.image.max() <= 1


@pytest.mark.parametrize("most", [None, 1])
def test_normals_as_textures_are_never_the_picture_itself(made, noise, normal, most):
    own, other = noise(64, 64, 0), np.full((64, 64, 3), 7, np.uint8)
    method = DeSTSeg(textures="normals", max_textures=most, opacity=(1, 1))
    method.fit(SupportSet((normal(own, "0"), normal(other, "1"))))
    for seed in range(30):
        anomaly = made(method, own, seed)
        assert anomaly.provenance.drawn["texture"] == "p/train/good/1"
        assert anomaly.provenance.attempts == made(DeSTSeg(opacity=(1, 1)), own, seed).provenance.attempts  # none drawn again
        assert (anomaly.image[anomaly.mask] == 7).all()


def test_normals_as_textures_need_a_second_one(noise, normal):
    with pytest.raises(NeedUnmet, match="destseg needs a second normal"):
        DeSTSeg(textures="normals").fit(SupportSet((normal(noise(64, 64), "0"),)))
    DeSTSeg().fit(SupportSet((normal(noise(64, 64), "0"),)))


def test_the_noise_itself_as_texture_is_anomalibs(made, noise):
    pixels = noise(96, 128)
    for seed in range(10):
        anomaly = made(Draem(preset="anomalib", operators=0, opacity=(1, 1)), pixels, seed)
        values = anomaly.image[anomaly.mask]
        assert (values == values[:, :1]).all()
        assert values.min() >= 127  # a half of the noise, which exceeds 0.5, and a quarter
        assert values.max() <= 191
        assert anomaly.provenance.drawn["texture"] == "perlin"
    augmented = made(Draem(preset="anomalib"), pixels)
    assert len(augmented.provenance.drawn["operators"]) == 3


def test_the_noise_is_drawn_also_where_the_mask_is_asked_for(made, noise):
    asked = np.zeros((96, 128), bool)
    asked[20:60, 20:90] = True
    anomaly = made(DeSTSeg(textures="perlin", opacity=(1, 1)), noise(96, 128), mask=asked)
    np.testing.assert_array_equal(anomaly.mask, asked)
    assert anomaly.image[asked].std() > 5


def test_noise_becomes_grey_levels():
    picture = as_picture(np.array([[-1.0, -0.5, 0.0, 0.5, 1.0]], np.float32))
    np.testing.assert_array_equal(picture[0, :, 0], [0, 0, 64, 128, 191])
    assert picture.shape == (1, 5, 3)


def test_the_pictures_own_cells_as_texture(made, noise):
    pixels = noise(64, 96)
    everywhere = np.ones((64, 96), bool)
    anomaly = made(DeSTSeg(textures="structural", opacity=(1, 1)), pixels, mask=everywhere)
    assert anomaly.provenance.drawn["texture"] == "structural"
    assert sorted(map(tuple, anomaly.image.reshape(-1, 3))) == sorted(map(tuple, pixels.reshape(-1, 3)))
    assert (anomaly.image != pixels).any()


def test_a_second_noise_joins_the_first_in_the_told_share(made, noise):
    pixels = noise(64, 64)
    single = [made(Draem(), pixels, seed) for seed in range(400)]
    double = [made(Draem(union=0.5), pixels, seed) for seed in range(400)]
    assert all(not (one.mask & ~two.mask).any() for one, two in zip(single, double, strict=True))
    joined = np.mean(["second" in a.provenance.drawn for a in double])
    assert joined == pytest.approx(0.5, abs=3 * 0.025)
    always = [made(Draem(union=1), pixels, seed) for seed in range(20)]
    assert all("second" in a.provenance.drawn for a in always)


@pytest.mark.parametrize("foreground", ["one pixel", "checkerboard", "full"])
def test_odd_foregrounds_end_in_a_mask_inside_or_in_a_normal(made, noise, tmp_path, foreground):
    inside = np.zeros((64, 64), bool)
    if foreground == "one pixel":
        inside[30, 40] = True
    elif foreground == "checkerboard":
        inside = np.indices((64, 64)).sum(axis=0) % 2 == 0
    else:
        inside[:] = True
    cv2.imwrite(str(tmp_path / "0.png"), inside.astype(np.uint8) * 255)
    for method in (Draem(foreground=str(tmp_path)), MemSeg(foreground=str(tmp_path))):
        anomalies = [made(method, noise(64, 64), seed) for seed in range(30)]
        assert not any((a.mask & ~inside).any() for a in anomalies)
        assert all(a.is_normal == (a.provenance.status == "no_placement") for a in anomalies)
        assert max(a.provenance.attempts for a in anomalies) <= 20


DIGEST = """
import hashlib, sys
import cv2, numpy as np
from flawsmith.core.requests import Request
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.seeding import Seed
from flawsmith.synthesis.draem import Draem
from flawsmith.synthesis.memseg import MemSeg

def digest():
    pixels = np.random.default_rng(0).integers(0, 256, (384, 512, 3), dtype=np.uint8)
    normal = Sample("p/train/good/0", "p", "good", "train", "0", ArraySource(pixels))
    told = hashlib.sha256()
    for method in (Draem(), MemSeg(foreground="none")):
        for seed in range(12):
            made = method.synthesize([Request(normal, Seed(seed))])[0]
            told.update(made.image.tobytes() + made.mask.tobytes())
    return told.hexdigest()
"""


def test_the_number_of_threads_moves_no_byte():
    def ask(threads):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        program = f"{DIGEST}\ncv2.setNumThreads({threads})\nprint(digest())"
        command = [sys.executable, "-c", program]
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert ask(1) == ask(3)


def test_refuses_sources_that_are_not_there():
    with pytest.raises(UnknownName, match=r"or structural\?"):
        Draem.from_params({"textures": "structual"})
