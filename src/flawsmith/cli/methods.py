"""`flawsmith methods`: synthesizers and detectors, what each needs, and whose idea it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawsmith.cli.options import AsJson, Debug
from flawsmith.cli.output import show

if TYPE_CHECKING:
    from flawsmith.core.detector import DetectorTraits
    from flawsmith.core.registry import Entry, Registry
    from flawsmith.core.synthesizer import SynthesizerTraits

    AnyEntry = Entry[SynthesizerTraits] | Entry[DetectorTraits]
    AnyRegistry = Registry[SynthesizerTraits] | Registry[DetectorTraits]

Pattern = Annotated[str, typer.Argument(metavar="PATTERN", help="Only names that match, as in 'cut*'.")]


def methods(pattern: Pattern = "*", as_json: AsJson = False, debug: Debug = False) -> None:
    """List the synthesizers and detectors, what each needs, and the paper.

    Example: flawsmith methods 'cut*'
    """
    from flawsmith.core.errors import UnknownName
    from flawsmith.core.registry import detectors, synthesizers

    found = {registry.kind: _entries(registry, pattern) for registry in (synthesizers, detectors)}
    if not any(found.values()):
        raise UnknownName("method", pattern, [*synthesizers.names(), *detectors.names()])
    blocks = [_block(kind, entries) for kind, entries in found.items() if entries]
    document = [_document(kind, entry) for kind, entries in found.items() for entry in entries]
    show("\n\n".join(blocks), document, as_json)


def _entries(registry: AnyRegistry, pattern: str) -> list[AnyEntry]:
    return [registry.entry(name) for name in registry.names(pattern)]


def _block(kind: str, entries: list[AnyEntry]) -> str:
    width = max(len(entry.name) for entry in entries)
    lines = [f"{kind}s"]
    for entry in entries:
        lines.append(f"  {entry.name:<{width}}  {entry.summary}")
        lines.append(f"  {'':<{width}}  needs {_needs(entry)}; {entry.paper}")
    return "\n".join(lines)


def _needs(entry: AnyEntry) -> str:
    """What a method must be given, in words."""
    from flawsmith.core.synthesizer import SynthesizerTraits

    traits = entry.traits
    if isinstance(traits, SynthesizerTraits):
        names = {
            "normal": "a normal",
            "normals": "several normals",
            "textures": "textures (has its own)",
            "text": "a description",
        }
        names |= {"references": "real anomalies", "foreground": "a foreground", "precomputed": "a folder of anomalies"}
        return ", ".join(names[need] for need in names if need in traits.needs)
    needs = [f"{name}" for name in sorted(traits.learns_from)]
    return ", ".join([*needs, *(["words"] if traits.needs.text else [])])


def _document(kind: str, entry: AnyEntry) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": entry.name,
        "summary": entry.summary,
        "needs": _needs(entry),
        "paper": entry.paper,
        "traits": _plain(asdict(entry.traits)),
    }


def _plain(value: Any) -> Any:
    """Sets as sorted lists, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
