"""Synthesizers: one file per method, each under its name in `ENTRIES`. Importing this imports none of them."""

from __future__ import annotations

from collections.abc import Sequence

from flawsmith.core.errors import UsageError
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.recipes import WeightedMethod
from flawsmith.core.registry import Entry, build_synthesizer, synthesizers
from flawsmith.core.synthesizer import Synthesizer, SynthesizerTraits

ENTRIES = (
    Entry(
        "cutout",
        "flawsmith.synthesis.cutout:CutOut",
        "blank a square of the picture",
        "DeVries and Taylor, Cutout, arXiv 2017",
        SynthesizerTraits(takes_mask=True, area=(0.01, 0.03)),
    ),
    Entry(
        "cutpaste",
        "flawsmith.synthesis.cutpaste:CutPaste",
        "cut a rectangle out of the picture and paste it elsewhere",
        "Li et al., CutPaste, CVPR 2021",
        SynthesizerTraits(takes_mask=True, area=(0.05, 0.12)),
    ),
    Entry(
        "cutpaste_by_mask",
        "flawsmith.synthesis.cutpaste_by_mask:CutPasteByMask",
        "paste real defects, cut out by their masks, onto good pictures",
        "UniADC, section 3.3 and table S2",
        SynthesizerTraits(uses_real_anomalies=True, needs=frozenset({"normal", "references"}), area=(0.005, 0.06)),
    ),
    Entry(
        "cutpaste_scar",
        "flawsmith.synthesis.cutpaste_scar:CutPasteScar",
        "cut a thin strip, turn it, and paste it elsewhere",
        "Li et al., CutPaste, CVPR 2021",
        SynthesizerTraits(area=(0.0005, 0.01)),
    ),
    Entry(
        "destseg",
        "flawsmith.synthesis.destseg:DeSTSeg",
        "blend a texture in as it is under a Perlin mask",
        "Zhang et al., DeSTSeg, CVPR 2023",
        SynthesizerTraits(needs=frozenset({"normal", "textures"}), takes_mask=True, nonempty=0.85, area=(0.02, 0.1)),
    ),
    Entry(
        "disc_shift",
        "flawsmith.synthesis.disc_shift:DiscShift",
        "add a constant to a disc; ASBench calls it FPI",
        "Tan et al., FPI, MELBA 2022; as wired by ASBench",
        SynthesizerTraits(takes_mask=True, area=(0.01, 0.03)),
    ),
    Entry(
        "draem",
        "flawsmith.synthesis.draem:Draem",
        "blend a foreign texture in under a Perlin mask",
        "Zavrtanik et al., DRAEM, ICCV 2021",
        SynthesizerTraits(needs=frozenset({"normal", "textures"}), takes_mask=True, nonempty=0.9, area=(0.02, 0.1)),
    ),
    Entry(
        "fpi",
        "flawsmith.synthesis.fpi:Fpi",
        "mix a square of another normal into the picture",
        "Tan et al., FPI, MELBA 2022",
        SynthesizerTraits(needs=frozenset({"normal", "normals"}), takes_mask=True, area=(0.03, 0.12)),
    ),
    Entry(
        "fractal",
        "flawsmith.synthesis.fractal:Fractal",
        "paste a fractal cut out of a changed patch of the picture",
        "Xia et al., FractalAD, arXiv 2023",
        SynthesizerTraits(coarse_label=True, takes_mask=True, area=(0.03, 0.09)),
    ),
    Entry(
        "memseg",
        "flawsmith.synthesis.memseg:MemSeg",
        "blend a texture or the picture's own cells into the object under a Perlin mask",
        "Yang et al., MemSeg, Engineering Applications of AI 2023",
        SynthesizerTraits(needs=frozenset({"normal", "textures"}), takes_mask=True, nonempty=0.9, area=(0.01, 0.1)),
    ),
    Entry(
        "mix",
        "flawsmith.synthesis.mix:Mix",
        "several synthesizers by weight, written draem:2,cutpaste:1",
        "Hybrid strategies of ASBench; own sampling",
        SynthesizerTraits(nonempty=0.9),
    ),
    Entry(
        "nsa",
        "flawsmith.synthesis.nsa:Nsa",
        "blend resized patches of another normal in, labelled by how much they change",
        "Schlüter et al., NSA, ECCV 2022",
        SynthesizerTraits(needs=frozenset({"normal", "normals"}), takes_mask=True, area=(0.01, 0.2)),
    ),
    Entry(
        "pii",
        "flawsmith.synthesis.pii:Pii",
        "merge a square of another normal without an edge",
        "Tan et al., PII, MICCAI 2021",
        SynthesizerTraits(needs=frozenset({"normal", "normals"}), takes_mask=True, area=(0.03, 0.12)),
    ),
    Entry(
        "precomputed",
        "flawsmith.synthesis.precomputed:Precomputed",
        "anomalies made before, from a folder written by synth or by another tool",
        "ASBench: Image Anomalies Synthesis Benchmark for Anomaly Detection",
        SynthesizerTraits(needs=frozenset({"precomputed"}), local=False, coarse_label=True, twins=False),
    ),
    Entry(
        "riad",
        "flawsmith.synthesis.riad:Riad",
        "remove cells of a grid inside a rectangle",
        "Zavrtanik et al., RIAD, Pattern Recognition 2021",
        SynthesizerTraits(takes_mask=True, area=(0.05, 0.11)),
    ),
)


def build(methods: Sequence[WeightedMethod]) -> Synthesizer:
    """The synthesizer that a list of methods describes: the only one, or a mix of them.

    Raises:
        UnknownName: no such method or preset.
        BadParameter: a parameter does not exist or is outside its range.
    """
    if len(methods) == 1:
        return build_synthesizer(methods[0].method)
    members = [{"method": build_synthesizer(m.method).recipe().model_dump(mode="json"), "weight": m.weight} for m in methods]
    return build_synthesizer(MethodRecipe(name="mix", params={"members": members}))


def confined(methods: Sequence[WeightedMethod], foreground: str | None) -> tuple[WeightedMethod, ...]:
    """The methods with a rule for the object they keep to, where they have such a parameter and are not told another.

    Raises:
        UnknownName: no such method.
        UsageError: none of them has the parameter.
    """
    if foreground is None:
        return tuple(methods)
    if not methods:
        raise UsageError(f"foreground={foreground} is asked, and no synthesizer takes part; expected one: leave it out")
    able = [m for m in methods if "foreground" in getattr(synthesizers.entry(m.method.name).resolve(), "model_fields", {})]
    if not able:
        told = f"{' and '.join(m.method.name for m in methods)}, which take{'s' if len(methods) == 1 else ''} none"
        raise UsageError(f"foreground={foreground} is asked of {told}; expected a method that does: leave it out")
    return tuple(_confined(m, foreground) if m in able else m for m in methods)


def _confined(member: WeightedMethod, foreground: str) -> WeightedMethod:
    params = {"foreground": foreground, **member.method.params}
    return WeightedMethod(method=MethodRecipe(name=member.method.name, params=params), weight=member.weight)
