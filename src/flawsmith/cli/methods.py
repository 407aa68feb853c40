"""`flawsmith methods`: synthesizers and detectors, what each needs, and whose idea it is."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawsmith.cli.options import AsJson, Debug
from flawsmith.cli.output import show

if TYPE_CHECKING:
    from flawsmith.core.detector import DetectorTraits
    from flawsmith.core.hybrids import Hybrid
    from flawsmith.core.registry import Entry, Registry
    from flawsmith.core.synthesizer import SynthesizerTraits

    AnyEntry = Entry[SynthesizerTraits] | Entry[DetectorTraits]
    AnyRegistry = Registry[SynthesizerTraits] | Registry[DetectorTraits]

Pattern = Annotated[str, typer.Argument(metavar="PATTERN", help="Only names that match, as in 'cut*'.")]


def methods(pattern: Pattern = "*", as_json: AsJson = False, debug: Debug = False) -> None:
    """List the synthesizers, ASBench's hybrids of them, and the detectors: what each needs, and the paper.

    Example: flawsmith methods 'cut*'
    """
    from flawsmith.core.errors import UnknownName
    from flawsmith.core.hybrids import HYBRIDS
    from flawsmith.core.registry import detectors, synthesizers

    found = {registry.kind: _entries(registry, pattern) for registry in (synthesizers, detectors)}
    hybrids = [hybrid for name, hybrid in HYBRIDS.items() if fnmatch.fnmatchcase(name, pattern)]
    if not hybrids and not any(found.values()):
        raise UnknownName("method", pattern, [*synthesizers.names(), *HYBRIDS, *detectors.names()])
    blocks = {kind: _block(kind, entries) for kind, entries in found.items() if entries}
    ordered = [blocks.get(synthesizers.kind), _hybrid_block(hybrids) if hybrids else None, blocks.get(detectors.kind)]
    document = [_document(kind, entry) for kind, entries in found.items() for entry in entries]
    document += [_hybrid_document(hybrid) for hybrid in hybrids]
    show("\n\n".join(block for block in ordered if block), document, as_json)


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


def _hybrid_block(hybrids: Sequence[Hybrid]) -> str:
    from flawsmith.core.hybrids import PAPER

    width = max(len(hybrid.name) for hybrid in hybrids)
    head = f"hybrids: several synthesizers under one name, for --synth; {PAPER}"
    return "\n".join([head, *(f"  {hybrid.name:<{width}}  {_members(hybrid)}" for hybrid in hybrids)])


def _members(hybrid: Hybrid) -> str:
    return ", ".join(member.name for member in hybrid.members)


def _hybrid_document(hybrid: Hybrid) -> dict[str, Any]:
    from flawsmith.core.hybrids import PAPER

    members = [member.model_dump(mode="json") for member in hybrid.members]
    return {"kind": "hybrid", "name": hybrid.name, "summary": _members(hybrid), "paper": PAPER, "members": members}


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
