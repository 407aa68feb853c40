import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from flawsmith.core import registry as module
from flawsmith.core.errors import UnknownName
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.registry import DuplicateName, Entry, Registry, detectors, synthesizers
from flawsmith.core.synthesizer import SynthesizerTraits

PLUGIN = Entry("scuff", "plugin.scuff:Scuff", "Drags a worn stroke.", "none", SynthesizerTraits())


def with_plugin(monkeypatch: pytest.MonkeyPatch, entry: Entry) -> Registry:
    point = EntryPoint("scuff", "plugin:SCUFF", "flawsmith.synthesizers")
    monkeypatch.setattr(EntryPoint, "load", lambda self: entry)
    monkeypatch.setattr(module, "entry_points", lambda group: [point])
    return Registry("synthesizer", "flawsmith.synthesis", "flawsmith.synthesizers")


def test_listing_imports_no_torch():
    code = (
        "import sys; from flawsmith.core.registry import detectors, synthesizers; "
        "assert detectors.names() and synthesizers.names(); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


@pytest.mark.parametrize("registry", [synthesizers, detectors], ids=["synthesizers", "detectors"])
def test_every_entry_states_the_traits_and_the_name_of_its_class(registry: Registry):
    for entry in registry.entries.values():
        method = entry.resolve()
        assert (method.name, method.traits) == (entry.name, entry.traits)
        assert entry.summary
        assert entry.paper


def test_wildcards():
    assert synthesizers.names("cutpaste*") == ["cutpaste", "cutpaste_by_mask", "cutpaste_scar"]


def test_a_plug_in_is_listed(monkeypatch: pytest.MonkeyPatch):
    assert "scuff" in with_plugin(monkeypatch, PLUGIN).names()


def test_a_broken_plug_in_is_named_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch):
    registry = with_plugin(monkeypatch, PLUGIN)

    def broken(self: EntryPoint) -> None:
        raise ImportError("no module named scuff")

    monkeypatch.setattr(EntryPoint, "load", broken)
    with pytest.warns(UserWarning, match=r"plug-in scuff \(plugin:SCUFF\) cannot be loaded \(ImportError"):
        assert "cutpaste" in registry.names()


def test_a_duplicate_is_refused_and_both_are_named(monkeypatch: pytest.MonkeyPatch):
    twin = Entry("cutpaste", "plugin.cut:Cut", "Another.", "none", SynthesizerTraits())
    with pytest.raises(DuplicateName, match=r"flawsmith\.synthesis\.cutpaste.*plugin\.cut:Cut"):
        with_plugin(monkeypatch, twin).names()


def test_an_unknown_method_offers_the_nearest():
    with pytest.raises(UnknownName, match=r"no detector 'patchcor'; did you mean patchcore\?"):
        detectors.build(MethodRecipe(name="patchcor"))
