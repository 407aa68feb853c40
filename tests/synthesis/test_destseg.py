import numpy as np
import pytest

from flawsmith.core.errors import BadParameter
from flawsmith.synthesis.destseg import DeSTSeg
from flawsmith.synthesis.draem import Draem


def told(anomaly):
    return {key: value for key, value in anomaly.provenance.drawn.items() if key != "operators"}


def test_equals_draem_without_its_augmentation(made, noise):
    pixels = noise()
    for seed in range(30):
        one, other = made(DeSTSeg(), pixels, seed), made(Draem(operators=0), pixels, seed)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)
        assert told(one) == told(other)


@pytest.mark.parametrize("preset", ["asbench_draem"])
def test_in_asbenchs_draem_pipeline_it_is_draem(made, noise, preset):
    pixels = noise()
    for seed in range(30):
        one, other = made(DeSTSeg(preset=preset), pixels, seed), made(Draem(preset="asbench"), pixels, seed)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)


def test_in_asbenchs_destseg_pipeline_draem_leaves_its_textures_alone(made, noise):
    pixels = noise()
    for seed in range(10):
        one = made(Draem(preset="asbench_destseg"), pixels, seed)
        other = made(DeSTSeg(on_empty="keep", match_grey=False, require_change=False), pixels, seed)
        np.testing.assert_array_equal(one.image, other.image)


def test_has_no_soft_mask_and_changes_no_texture(made, noise):
    anomaly = made(DeSTSeg(), noise())
    assert anomaly.soft_mask is None
    assert anomaly.provenance.drawn["operators"] == []


def test_asbenchs_noise_is_coarse_and_not_turned(made, noise):
    drawn = [made(DeSTSeg(preset="asbench"), noise(64, 64), seed).provenance.drawn for seed in range(200)]
    exponents = np.array([one["exponents"] for one in drawn])
    assert set(exponents.ravel().tolist()) == {0, 1, 2, 3}
    assert {one["angle"] for one in drawn} == {0.0}
    upright = made(DeSTSeg(preset="asbench_memseg"), noise(256, 256)).provenance.drawn
    assert upright["angle"] == 0.0


def test_resampling_leaves_no_normal(made, noise):
    assert not any(made(DeSTSeg(), noise(48, 48), seed).is_normal for seed in range(500))


def test_refuses_an_opacity_beyond_one():
    with pytest.raises(BadParameter, match="destseg: parameter opacity"):
        DeSTSeg.from_params({"opacity": [0.2, 1.1]})
