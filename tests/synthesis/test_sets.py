import json
from dataclasses import replace

import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, DamagedFile, DataError, NeedUnmet, UnknownName
from flawsmith.core.files import canonical_json
from flawsmith.core.registry import synthesizers
from flawsmith.core.requests import Request
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.seeding import Seed
from flawsmith.synthesis import build
from flawsmith.synthesis.sets import replay, synthesize


def line_of(anomaly):
    return canonical_json({"provenance": anomaly.provenance.to_json()})


def test_items_are_pure_functions_of_their_index(tiles):
    one, other = (synthesize(tiles, "draem:2,cutpaste:1", 12, seed=3) for _ in range(2))
    backwards = [other[i] for i in reversed(range(12))][::-1]
    for a, b in zip(one, backwards, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        assert a.provenance == b.provenance
    assert len(one) == 12
    assert [a.provenance.seed for a in one[2:4]] == [one[2].provenance.seed, one[3].provenance.seed]
    np.testing.assert_array_equal(one[-1].image, one[11].image)
    with pytest.raises(IndexError, match="index is 12; expected a number below 12"):
        one[12]


def test_seeds_make_other_sets(tiles):
    assert (
        synthesize(tiles, "cutpaste", 1, seed=0)[0].image.tobytes() != synthesize(tiles, "cutpaste", 1, seed=1)[0].image.tobytes()
    )


def test_starts_from_normals_outside_the_test_side_only(tiles):
    used = {anomaly.provenance.normal_id for anomaly in synthesize(tiles, "cutpaste", 60)}
    assert used == {sample.id for sample in tiles.samples if sample.is_normal and sample.split == "train"}


def test_every_item_is_an_anomaly(tiles):
    empty_often = synthesize(tiles, "draem", 200, settings=["draem.preset=asbench", "draem.exponents=[1, 1]"])
    assert not any(anomaly.is_normal for anomaly in empty_often)


def test_what_takes_no_defect_is_a_normal(tiles):
    flat = np.full((64, 64, 3), 90, np.uint8)
    samples = tuple(replace(s, source=ArraySource(flat)) for s in tiles.samples)
    anomaly = synthesize(replace(tiles, samples=samples), "cutpaste", 1, settings=["cutpaste.jitter=0"])[0]
    assert anomaly.is_normal
    assert anomaly.provenance.seed["keys"][-2:] == ["again", 7]


def test_size_resizes_the_normals_first(tiles):
    made = synthesize(tiles, "cutpaste", 2, size=40)
    assert made[0].image.shape == (40, 40, 3)
    assert made[0].provenance.size == (40, 40)


def test_products_take_turns(tiles):
    others = tuple(replace(s, id=s.id.replace("tiles/", "nuts/"), product="nuts") for s in tiles.samples)
    both = replace(tiles, samples=(*tiles.samples, *others))
    made = synthesize(both, "cutpaste", 6)
    assert [made.product_of(i) for i in range(6)] == ["nuts", "tiles"] * 3
    assert all(a.provenance.normal_id.startswith(made.product_of(i)) for i, a in enumerate(made))
    assert len(synthesize(both, "cutpaste", 6, product="nuts").supports) == 1


ALONE = {"normal", "normals", "textures"}
"""Needs that a folder of good pictures meets."""

NAMES = [name for name, e in synthesizers.entries.items() if e.traits.needs <= ALONE and name != "mix"]


@pytest.mark.parametrize("text", [*NAMES, "draem:1,cutpaste:1"])
@pytest.mark.parametrize("size", [None, 48])
def test_a_line_makes_the_same_pixels_again(tiles, text, size):
    for anomaly in synthesize(tiles, text, 4, size=size, defect="dent"):
        again = replay(line_of(anomaly), tiles)
        np.testing.assert_array_equal(again.image, anomaly.image)
        np.testing.assert_array_equal(again.mask, anomaly.mask)
        assert again.provenance == anomaly.provenance
        assert again.defect == "dent"


def test_textures_from_normals_replay(tiles):
    anomaly = synthesize(tiles, "draem", 1, settings=["draem.textures=normals"])[0]
    np.testing.assert_array_equal(replay(line_of(anomaly), tiles).image, anomaly.image)


def test_replay_says_what_is_missing(tiles):
    line = json.loads(line_of(synthesize(tiles, "draem", 1)[0]))
    with pytest.raises(DamagedFile, match="no manifest line"):
        replay("{}", tiles)
    with pytest.raises(DamagedFile, match="no manifest line"):
        replay("draem", tiles)
    with pytest.raises(UnknownName, match="made from other data"):
        replay(line, replace(tiles, samples=tiles.samples[:1]))
    normal = tiles.of(split="train").samples[0]
    asked = Request(normal, Seed(0), mask=np.ones((64, 64), bool))
    told = build(synthesize(tiles, "draem", 1).recipe.methods).synthesize([asked])[0]
    with pytest.raises(NeedUnmet, match="the mask that was asked for"):
        replay(line_of(told), tiles)


@pytest.mark.parametrize("n", [0, -3])
def test_refuses_no_images(tiles, n):
    with pytest.raises(BadParameter, match=f"synthesis: parameter n is {n}"):
        synthesize(tiles, "draem", n)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".", "good", " x"])
def test_refuses_defects_that_name_no_folder(tiles, name):
    with pytest.raises(BadParameter, match="defect is"):
        synthesize(tiles, "draem", 1, defect=name)


def test_refuses_what_is_not_there(tiles):
    with pytest.raises(UnknownName, match="did you mean draem"):
        synthesize(tiles, "dream", 1)
    with pytest.raises(UnknownName, match="no product 'tile'; did you mean tiles"):
        synthesize(tiles, "draem", 1, product="tile")
    with pytest.raises(BadParameter, match="synthesis: parameter size is 8"):
        synthesize(tiles, "draem", 1, size=8)
    tested = tuple(Sample(s.id, s.product, s.defect, "test", s.group, s.source) for s in tiles.samples)
    with pytest.raises(DataError, match="no normal to start from"):
        synthesize(replace(tiles, samples=tested), "draem", 1)
