from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from pydantic import Field

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.methods import Method


class Scuff(Method):
    name: ClassVar[str] = "scuff"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"official": {}, "strong": {"depth": 0.9}}

    depth: float = Field(default=0.2, gt=0, le=1)
    length: tuple[int, int] = (2, 5)


def test_the_first_preset_is_the_default():
    assert (Scuff().preset, Scuff().depth) == ("official", 0.2)


def test_a_preset_sets_values_and_an_explicit_value_wins():
    assert Scuff(preset="strong").depth == 0.9
    assert Scuff(preset="strong", depth=0.5).depth == 0.5


@pytest.mark.parametrize("scuff", [Scuff(), Scuff(preset="strong"), Scuff(preset="strong", depth=0.5, length=(1, 9))])
def test_recipe_to_object_to_recipe_is_identity(scuff: Scuff):
    assert Scuff.from_params(scuff.recipe().params) == scuff
    assert Scuff.from_params(scuff.recipe().params).recipe() == scuff.recipe()


def test_methods_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Scuff().depth = 0.3


def test_an_unknown_parameter_offers_the_nearest():
    with pytest.raises(BadParameter, match=r"scuff has no parameter 'dept'; did you mean depth\?"):
        Scuff.from_params({"dept": 1})


def test_a_bad_value_is_named_with_what_was_expected():
    with pytest.raises(BadParameter, match=r"scuff: parameter depth is 2; expected: .*less than or equal to 1"):
        Scuff.from_params({"depth": 2})


def test_an_unknown_preset_offers_the_nearest():
    with pytest.raises(UnknownName, match=r"no preset of scuff 'stronk'; did you mean strong\?"):
        Scuff.from_params({"preset": "stronk"})
