import cv2
import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, NotFitted, UnknownName
from flawsmith.core.samples import SupportSet
from flawsmith.synthesis.draem import Draem


@pytest.fixture
def magenta(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.full((30, 30, 3), (255, 0, 255), np.uint8))
    return str(tmp_path)


def test_a_full_opacity_shows_the_texture_itself(made, noise, magenta):
    anomaly = made(Draem(textures=magenta, opacity=(1, 1), operators=0), noise())
    assert (anomaly.image[anomaly.mask] == (255, 0, 255)).all()
    np.testing.assert_array_equal(anomaly.image[~anomaly.mask], noise()[~anomaly.mask])
    assert anomaly.provenance.drawn["texture"] == "m.png"


def test_the_blend_lies_between_picture_and_texture(made, noise, magenta):
    pixels = noise()
    for seed in range(20):
        anomaly = made(Draem(textures=magenta, operators=0), pixels, seed)
        weight = anomaly.provenance.drawn["opacity"]
        expected = weight * np.array([255, 0, 255]) + (1 - weight) * pixels
        assert np.abs(anomaly.image - expected)[anomaly.mask].max() <= 0.5 + 1e-6


def test_white_on_black_takes_every_opacity(made, tmp_path):
    cv2.imwrite(str(tmp_path / "w.png"), np.full((30, 30, 3), 255, np.uint8))
    black = np.zeros((64, 64, 3), np.uint8)
    anomalies = [made(Draem(textures=str(tmp_path), operators=0), black, seed) for seed in range(1000)]
    values = np.array([a.image[a.mask][0, 0] for a in anomalies])
    assert values.min() >= 51
    assert values.max() <= 255
    opacities = [a.provenance.drawn["opacity"] for a in anomalies]
    counts, _ = np.histogram(opacities, 8, (0.2, 1.0))
    assert counts.min() > 85
    assert counts.max() < 165


def test_resampling_leaves_no_normal_and_keeping_does(made, noise):
    resampled = [made(Draem(), noise(48, 48), seed) for seed in range(2000)]
    assert not any(a.is_normal for a in resampled)
    kept = [made(Draem(preset="asbench", operators=0), noise(128, 128), seed).is_normal for seed in range(2000)]
    assert np.mean(kept) == pytest.approx(0.045, abs=3 * np.sqrt(0.045 * 0.955 * (1 / 2000 + 1 / 4000)) + 0.0005)


def test_a_grey_picture_stays_grey_unless_told(made, noise):
    grey = np.repeat(noise()[..., :1], 3, axis=2)
    matched, coloured = made(Draem(), grey, 1), made(Draem(match_grey=False), grey, 1)
    assert (matched.image[..., 0] == matched.image[..., 2]).all()
    assert (coloured.image[..., 0] != coloured.image[..., 2]).any()
    np.testing.assert_array_equal(matched.mask, coloured.mask)
    assert Draem(preset="asbench").match_grey is False


def test_an_asked_mask_replaces_the_noise(made, noise):
    asked = np.zeros((96, 128), bool)
    asked[10:40, 10:90] = True
    anomaly = made(Draem(), noise(), mask=asked)
    np.testing.assert_array_equal(anomaly.mask, asked)
    assert not np.shares_memory(anomaly.mask, asked)


def test_normals_as_textures_need_a_support_set(made, noise, normal):
    with pytest.raises(NotFitted, match="draem with textures=normals"):
        made(Draem(textures="normals"), noise())
    support = SupportSet((normal(noise(), "0"), normal(np.full((40, 40, 3), 9, np.uint8), "9")))
    anomaly = made(Draem(textures="normals", opacity=(1, 1), operators=0).fit(support), noise())
    assert (anomaly.image[anomaly.mask] == 9).all()
    assert anomaly.provenance.drawn["texture"] == "p/train/good/9"


def test_a_foreground_holds_the_mask(made, noise, tmp_path):
    inside = np.zeros((96, 128), np.uint8)
    inside[40:60, 30:50] = 255
    cv2.imwrite(str(tmp_path / "0.png"), inside)
    for seed in range(40):
        anomaly = made(Draem(foreground=str(tmp_path)), noise(), seed)
        assert anomaly.mask.any()
        assert not (anomaly.mask & (inside == 0)).any()


@pytest.mark.parametrize(
    "params",
    [
        {"opacity": [0.5, 1.2]},
        {"opacity": [0.9, 0.2]},
        {"exponents": [3, 1]},
        {"exponents": [-1, 2]},
        {"threshold": 1.0},
        {"operators": 11},
    ],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"draem: parameter {next(iter(params))}"):
        Draem.from_params(params)


def test_refuses_textures_that_are_not_there(made, noise):
    with pytest.raises(UnknownName, match="did you mean procedural"):
        Draem.from_params({"textures": "prozedural"})
    with pytest.raises(BadParameter, match=r"textures is \./nowhere, which is no folder"):
        made(Draem(textures="./nowhere"), noise())
    with pytest.raises(UnknownName, match="did you mean asbench"):
        Draem.from_params({"preset": "asbensh"})
