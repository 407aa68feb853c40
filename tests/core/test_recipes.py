from pathlib import Path

import pytest

from flawsmith.core.errors import BadParameter, DamagedFile, UsageError
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.recipes import SynthesisRecipe, TrainingRecipe, parse_methods

RECIPE = TrainingRecipe(
    detector=MethodRecipe(name="memseg", params={"size": 128}), synth=parse_methods("draem:2,cutpaste"), ratio=0.25
)


def test_yaml_round_trip(tmp_path: Path):
    RECIPE.write(tmp_path / "recipe.yaml")
    assert TrainingRecipe.read(tmp_path / "recipe.yaml") == RECIPE


def test_equal_recipes_have_equal_digests():
    assert RECIPE.digest() == RECIPE.model_copy().digest()
    assert RECIPE.digest() != RECIPE.model_copy(update={"seed": 1}).digest()


def test_methods_with_weights_and_settings():
    first, second = parse_methods("draem:2, nsa", ["nsa.preset=asbench", "draem.opacity=[0.2, 1.0]"])
    assert (first.method.name, first.weight, first.method.params) == ("draem", 2.0, {"opacity": [0.2, 1.0]})
    assert (second.method.name, second.weight, second.method.params) == ("nsa", 1.0, {"preset": "asbench"})


@pytest.mark.parametrize("text", ["", "draem,,nsa", "draem:0", "draem:-1", "draem:x", "draem:nan", "draem:inf", "draem,draem"])
def test_a_malformed_list_of_methods_is_refused(text: str):
    with pytest.raises(UsageError, match="expected"):
        parse_methods(text)


@pytest.mark.parametrize("setting", ["draem", "draem.x", "x=1", "nsa.x=1", "draem.x=[1"])
def test_a_malformed_setting_is_refused(setting: str):
    with pytest.raises(UsageError, match="expected"):
        parse_methods("draem", [setting])


@pytest.mark.parametrize(("field", "value"), [("ratio", 1.5), ("ratio", -0.1), ("shots", 0), ("rotation", "spin"), ("epochs", 3)])
def test_a_field_out_of_range_is_named(field: str, value: object):
    with pytest.raises(BadParameter, match=field):
        TrainingRecipe.parse({"detector": {"name": "memseg"}, field: value}, "training")


def test_concat_takes_no_weights():
    detector, methods = {"name": "memseg"}, parse_methods("draem:2,cutpaste")
    with pytest.raises(BadParameter, match=r"mixing is 'concat'.*equal weights.*draem:2, cutpaste:1"):
        TrainingRecipe.parse({"detector": detector, "synth": methods, "mixing": "concat"}, "training")
    for mixing in ("choice", "concat"):
        assert TrainingRecipe.parse({"detector": detector, "mixing": mixing}, "training").mixing == mixing


def test_a_recipe_without_methods_is_refused():
    with pytest.raises(BadParameter, match="methods"):
        SynthesisRecipe.parse({"methods": (), "n": 1}, "synthesis")


@pytest.mark.parametrize("text", [None, "- a list", "a: [", "!!python/object/apply:os.system ['true']"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str | None):
    path = tmp_path / "recipe.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DamagedFile, match=r"recipe\.yaml.*expected"):
        TrainingRecipe.read(path)
