"""Clauses on construction that hold for every method alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flawsmith.core.methods import MethodRecipe
from flawsmith.core.registry import Registry
from flawsmith.testing.watching import connections, global_states, opened_files


def assert_only_stores(make: Callable[[], Any]) -> None:
    """Building opens no file, reaches no network and draws from no global generator; two of them have equal recipes."""
    make()
    before = global_states()
    assert not (found := opened_files(make)), f"construction opens {found[0]}"
    assert not (found := connections(make)), f"construction reaches for {found[0]}"
    assert global_states() == before, "construction draws from a global generator"
    assert make().recipe() == make().recipe(), "two constructions differ"


def rebuilt_from_recipe(method: Any) -> Any:
    """The method that its own recipe, after a trip through JSON, builds; asserts that their recipes are equal."""
    recipe = MethodRecipe.model_validate_json(method.recipe().model_dump_json())
    assert recipe.name == method.name, f"the recipe is named {recipe.name}, the method {method.name}"
    rebuilt = type(method).from_params(recipe.params)
    assert rebuilt.recipe() == recipe, "a method built from its recipe has another recipe"
    return rebuilt


def assert_same_traits(method: type[Any], registry: Registry[Any]) -> None:
    """Where the registry knows the method, its entry and its class promise the same."""
    entry = registry.entries.get(method.name)
    if entry is not None and entry.resolve() is method:
        assert entry.traits == method.traits, f"the entry promises {entry.traits}, the class {method.traits}"
