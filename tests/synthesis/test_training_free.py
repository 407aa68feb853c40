"""What the base class of synthesizers does for all of them."""

from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from scipy.stats import chisquare

from flawsmith.core.errors import NeedUnmet, NotFitted
from flawsmith.core.requests import Request
from flawsmith.core.samples import SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Heritage, SynthesizerTraits
from flawsmith.synthesis.draem import Draem
from flawsmith.synthesis.training_free import Placed, Scene, TrainingFree


class Replacing(TrainingFree):
    """The whole picture becomes another normal."""

    name: ClassVar[str] = "replacing"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(needs=frozenset({"normal", "normals"}))

    def place(self, scene):
        other, name = self.other_normal(scene, scene.seed.numpy("pool"))
        return Placed(other.copy(), np.ones(scene.size, bool), {"from": name})


class Optional(Replacing):
    """Needs another normal only when it is asked to."""

    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits()


@pytest.fixture
def pool(normal, noise):
    return [normal(noise(64, 64, k), str(k)) for k in range(5)]


def replaced(method, normal, seed):
    return method.synthesize([Request(normal, Seed(seed))])[0]


def test_another_normal_is_never_the_own_and_each_other_is_as_likely(pool):
    method = Replacing().fit(SupportSet(tuple(pool)))
    drawn = Counter(replaced(method, pool[2], seed).provenance.drawn["from"] for seed in range(2000))
    assert pool[2].id not in drawn
    assert len(drawn) == 4
    assert chisquare(list(drawn.values())).pvalue > 0.001


def test_an_estimate_that_fails_is_told(made):
    """A bright picture whose only dark pixels, the object, are 0.2 % of it."""
    pixels = np.full((64, 64, 3), 200, np.uint8)
    pixels[:3, :3] = 20
    assert made(Draem(foreground="threshold:100"), pixels).provenance.drawn["foreground"] == "everywhere"
    assert made(Draem(foreground="auto"), pixels).provenance.drawn["foreground"] == "everywhere"
    assert "foreground" not in made(Draem(), pixels).provenance.drawn
    pixels[:30] = 20
    assert "foreground" not in made(Draem(foreground="threshold:100"), pixels).provenance.drawn


def test_a_normal_from_outside_draws_from_all(pool, normal, noise):
    method = Replacing().fit(SupportSet(tuple(pool)))
    stranger = normal(noise(64, 64, 9), "stranger")
    drawn = {replaced(method, stranger, seed).provenance.drawn["from"] for seed in range(200)}
    assert drawn == {sample.id for sample in pool}


def test_the_pixels_are_the_drawn_ones_in_the_size_of_the_scene(pool, normal, noise):
    method = Replacing().fit(SupportSet(tuple(pool)))
    by_id = {sample.id: sample for sample in pool}
    anomaly = replaced(method, pool[0], 1)
    np.testing.assert_array_equal(anomaly.image, by_id[anomaly.provenance.drawn["from"]].image())
    assert replaced(method, normal(noise(48, 80), "wide"), 1).image.shape == (48, 80, 3)


def test_a_normal_given_twice_is_no_second_normal(pool):
    with pytest.raises(NeedUnmet, match="replacing needs a second normal"):
        Replacing().fit(SupportSet((pool[0], pool[0])))


@pytest.mark.parametrize("count", [0, 1])
def test_fit_refuses_a_support_set_without_a_second_normal(pool, count):
    with pytest.raises(NeedUnmet, match=r"replacing needs a second normal.*--split none"):
        Replacing().fit(SupportSet(tuple(pool[:count])))


def test_a_grey_picture_takes_the_grey_of_another_normal(pool, noise, normal):
    grey = np.repeat(noise(64, 64)[..., :1], 3, axis=2)
    coloured = normal(noise(64, 64, 1), "coloured")
    taken = replaced(Replacing().fit(SupportSet((normal(grey, "grey"), coloured))), normal(grey, "grey"), 0)
    assert taken.provenance.drawn["from"] == coloured.id
    assert (taken.image[..., 0] == taken.image[..., 1]).all()
    assert (taken.image[..., 0] == taken.image[..., 2]).all()


def test_the_folders_it_reads_are_told_with_their_state(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "0.png").write_bytes(b"one")
    method = Replacing(foreground=str(tmp_path / "masks"))
    before = method.heritage
    assert before.folders == (tmp_path / "masks",)
    assert before.textures == ()
    (tmp_path / "masks" / "0.png").write_bytes(b"other")
    assert method.heritage.state != before.state
    assert Replacing().heritage == Heritage()


def test_a_pool_that_was_not_announced_is_missed_at_the_first_picture(pool):
    method = Optional().fit(SupportSet((pool[0],)))
    with pytest.raises(NeedUnmet, match="a second normal"):
        replaced(method, pool[0], 0)
    assert replaced(method, pool[1], 0).provenance.drawn["from"] == pool[0].id


def test_before_fit_there_is_no_pool(pool):
    with pytest.raises(NotFitted):
        replaced(Replacing(), pool[0], 0)


def test_a_pool_is_handed_out_read_only(pool):
    method = Replacing().fit(SupportSet(tuple(pool)))
    scene = Scene(pool[0].image(), Seed(0), None, None, pool[0])
    other, _ = method.other_normal(scene, np.random.default_rng(0))
    assert not other.flags.writeable
