import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, UnknownName, UsageError
from flawsmith.core.recipes import parse_methods
from flawsmith.core.requests import Request
from flawsmith.core.seeding import Seed
from flawsmith.synthesis import build
from flawsmith.synthesis.draem import Draem


def requests(normal, noise, n):
    sample = normal(noise(64, 64))
    return [Request(sample, Seed(1, ("item", i))) for i in range(n)]


def test_one_method_is_itself_and_several_are_a_mix():
    assert type(build(parse_methods("draem"))) is Draem
    assert build(parse_methods("draem,cutpaste")).name == "mix"


def test_shares_follow_the_weights(normal, noise):
    mix = build(parse_methods("draem:1,cutpaste:2,cutpaste_scar:5"))
    made = mix.synthesize(requests(normal, noise, 1600))
    counts = np.array([sum(a.provenance.component == name for a in made) for name in ("draem", "cutpaste", "cutpaste_scar")])
    expected = 1600 * np.array([1, 2, 5]) / 8
    assert ((counts - expected) ** 2 / expected).sum() < 13.8  # chi-square, 2 degrees of freedom, p = 0.001


def test_each_answer_is_its_members_own(normal, noise):
    mix = build(parse_methods("draem:1,cutpaste:1", ["draem.opacity=[0.5, 0.6]"]))
    asked = requests(normal, noise, 12)
    for request, anomaly in zip(asked, mix.synthesize(asked), strict=True):
        member = next(m for m in mix.built if m.name == anomaly.provenance.component)
        np.testing.assert_array_equal(member.synthesize([request])[0].image, anomaly.image)
        assert anomaly.provenance.method == member.name
        assert anomaly.provenance.recipe == member.recipe().model_dump(mode="json")
        assert anomaly.defect == member.name


def test_takes_masks_only_if_every_member_does(normal, noise):
    mask = np.ones((64, 64), bool)
    asked = [Request(normal(noise(64, 64)), Seed(0), mask=mask)]
    assert build(parse_methods("draem,cutpaste")).synthesize(asked)[0].mask.all()
    with pytest.raises(UsageError, match="cutpaste_scar takes no mask"):
        build(parse_methods("draem,cutpaste_scar")).synthesize(asked)


def test_its_recipe_spells_out_its_members():
    mix = build(parse_methods("draem,cutpaste", ["cutpaste.preset=asbench"]))
    assert mix.recipe().params["members"][1]["method"]["params"]["jitter"] == 0.0


def test_refuses_what_is_no_list_of_members():
    with pytest.raises(BadParameter, match="mix: parameter members"):
        build(parse_methods("mix"))
    with pytest.raises(UnknownName, match="did you mean draem"):
        build(parse_methods("dream,cutpaste"))
    with pytest.raises(BadParameter, match=r"cutpaste has no parameter 'areas'; did you mean area"):
        build(parse_methods("draem,cutpaste", ["cutpaste.areas=[0.1, 0.2]"]))
