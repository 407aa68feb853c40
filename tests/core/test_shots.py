import hypothesis.strategies as st
import pytest
from hypothesis import given

from flawsmith.core.errors import BadParameter
from flawsmith.core.recipes import SynthesisRecipe, TrainingRecipe
from flawsmith.core.shots import THIRDS, Shots


@pytest.mark.parametrize(
    ("text", "meant", "spelled"),
    [
        (3, Shots(3), 3),
        ("3", Shots(3), 3),
        ("03", Shots(3), 3),
        (0, Shots(0), 0),
        ("first:4", Shots(4, True), "first:4"),
        ("first-third", Shots(None, True, "floor"), "first-third"),
        ("first-third:floor", Shots(None, True, "floor"), "first-third"),
        ("first-third:ceil", Shots(None, True, "ceil"), "first-third:ceil"),
        ("first-third:all", Shots(None, True, "all"), "first-third:all"),
        ("first-third:2", Shots(2, True, "floor"), "first-third:2"),
        ("anomalydiffusion-legacy", Shots(None, True, "inclusive"), "first-third:inclusive"),
        ("aside", Shots(None, aside=True), "aside"),
    ],
)
def test_what_each_text_means(text, meant, spelled):
    assert Shots.parse(text) == meant
    assert meant.spelled() == spelled
    assert bool(meant) == (text != 0)


@given(st.builds(Shots, st.integers(1, 99), st.booleans()) | st.builds(Shots, st.none(), st.just(True), st.sampled_from(THIRDS)))
def test_what_is_spelled_is_read_back(shots):
    assert Shots.parse(shots.spelled()) == shots


@pytest.mark.parametrize(
    "text", [-1, "-1", 1.5, True, None, "", "first", "first:", "first:0", "first:x", "first-third:", "²", "first-third:half"]
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match="first-third"):
        Shots.parse(text)


@pytest.mark.parametrize("text", ["x", 0, "0", "first-third", "first-third:2", "anomalydiffusion-legacy", "aside", None])
def test_normals_have_no_thirds_and_one_text_says_so(text):
    with pytest.raises(ValueError, match=r"^a number of at least 1, or first:K$"):
        Shots.of_normals(text)
    assert Shots.of_normals("first:2") == Shots(2, True)


def test_recipes_hold_the_one_spelling_and_refuse_the_rest():
    recipe = TrainingRecipe.parse(
        {"detector": {"name": "memseg"}, "defect_shots": "anomalydiffusion-legacy", "shots": "7"}, "training"
    )
    assert (recipe.defect_shots, recipe.shots) == ("first-third:inclusive", 7)
    assert TrainingRecipe.parse(recipe.model_dump(mode="json"), "training") == recipe
    for values in ({"shots": 0}, {"shots": "first-third"}, {"defect_shots": -1}):
        with pytest.raises(BadParameter, match=f"parameter {next(iter(values))} is .*; expected: a number"):
            TrainingRecipe.parse({"detector": {"name": "memseg"}, **values}, "training")
    with pytest.raises(BadParameter, match="parameter defect_shots is 'many'"):
        SynthesisRecipe.parse({"methods": [{"method": {"name": "draem"}}], "n": 1, "defect_shots": "many"}, "synthesis")
