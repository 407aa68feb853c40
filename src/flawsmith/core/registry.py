"""Methods by name: one frozen record each, resolved on use. Listing imports neither torch nor any method.

Built-in records are the tuple `ENTRIES` of the package that holds the methods; third parties add theirs by entry points whose
value is an `Entry` (groups `flawsmith.synthesizers` and `flawsmith.detectors`).
"""

from __future__ import annotations

import fnmatch
import importlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from flawsmith.core.detector import Detector, DetectorTraits
from flawsmith.core.errors import FlawsmithError, UnknownName
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.synthesizer import Synthesizer, SynthesizerTraits

TraitsT = TypeVar("TraitsT", SynthesizerTraits, DetectorTraits)


class DuplicateName(FlawsmithError):
    """Two packages registered the same name."""

    code = "E_DUPLICATE_NAME"


@dataclass(frozen=True)
class Entry(Generic[TraitsT]):
    """What is known of a method without importing it.

    Args:
        name: what the user types.
        target: `package.module:Class`.
        summary: one line.
        paper: citation.
        traits: must equal the class's own.
    """

    name: str
    target: str
    summary: str
    paper: str
    traits: TraitsT

    def resolve(self) -> type[Any]:
        """Import the class."""
        module, _, attribute = self.target.partition(":")
        return cast(type[Any], getattr(importlib.import_module(module), attribute))


class Registry(Generic[TraitsT]):
    """The methods of one kind.

    Args:
        kind: `synthesizer` or `detector`, for messages.
        home: the package whose `ENTRIES` are built in.
        group: entry-point group for third parties.
    """

    def __init__(self, kind: str, home: str, group: str) -> None:
        self.kind, self.home, self.group = kind, home, group

    @cached_property
    def entries(self) -> Mapping[str, Entry[TraitsT]]:
        """Every entry by name, sorted.

        Raises:
            DuplicateName: two entries share a name.
        """
        found: dict[str, Entry[TraitsT]] = {}
        for entry in (*importlib.import_module(self.home).ENTRIES, *self._third_party()):
            if entry.name in found:
                raise DuplicateName(
                    f"{self.kind} {entry.name!r} is registered twice ({found[entry.name].target}, {entry.target}); "
                    f"expected unique names: uninstall or rename one"
                )
            found[entry.name] = entry
        return dict(sorted(found.items()))

    def _third_party(self) -> Iterator[Entry[TraitsT]]:
        for point in entry_points(group=self.group):
            try:
                yield point.load()
            except Exception as error:  # whatever a plug-in does must not take the others with it
                told = f"{type(error).__name__}: {error}"
                warnings.warn(
                    f"plug-in {point.name} ({point.value}) cannot be loaded ({told}); mend or uninstall it", stacklevel=2
                )

    def names(self, pattern: str = "*") -> list[str]:
        """Names that match a wildcard, sorted."""
        return [name for name in self.entries if fnmatch.fnmatchcase(name, pattern)]

    def entry(self, name: str) -> Entry[TraitsT]:
        """The record of one method.

        Raises:
            UnknownName: with the nearest names.
        """
        if name not in self.entries:
            raise UnknownName(self.kind, name, self.entries, "`flawsmith methods` lists them")
        return self.entries[name]

    def build(self, recipe: MethodRecipe) -> Any:
        """The method that a recipe describes.

        Raises:
            UnknownName: no such method or preset.
            BadParameter: a parameter does not exist or is outside its range.
        """
        return self.entry(recipe.name).resolve().from_params(recipe.params)


synthesizers: Registry[SynthesizerTraits] = Registry("synthesizer", "flawsmith.synthesis", "flawsmith.synthesizers")
detectors: Registry[DetectorTraits] = Registry("detector", "flawsmith.detectors", "flawsmith.detectors")


def build_synthesizer(recipe: MethodRecipe) -> Synthesizer:
    """`synthesizers.build`, typed."""
    return cast(Synthesizer, synthesizers.build(recipe))


def build_detector(recipe: MethodRecipe) -> Detector:
    """`detectors.build`, typed."""
    return cast(Detector, detectors.build(recipe))
