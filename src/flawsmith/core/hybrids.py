"""The eleven hybrids of ASBench: every combination of FractalAD, DRAEM, AnomalyDiffusion and MemSeg, as lists of methods.

A hybrid is a name that stands for its members wherever methods are listed (`--synth asbench_fractal_draem`). Its members are
the variants that the benchmark ran, preset `asbench`; AnomalyDiffusion takes part with pictures made before (`precomputed`), as
it does there. MemSeg's table of foregrounds knows the products of MVTec AD alone; elsewhere its foreground is `auto`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from flawsmith.core.methods import MethodRecipe

HYBRID_PREFIX = "asbench_"
"""How every hybrid's name begins."""

PAPER = "ASBench: Image Anomalies Synthesis Benchmark for Anomaly Detection"

PARTS: Mapping[str, MethodRecipe] = {
    "fractal": MethodRecipe(name="fractal", params={"preset": "asbench"}),
    "draem": MethodRecipe(name="draem", params={"preset": "asbench"}),
    "anomalydiffusion": MethodRecipe(name="precomputed"),
    "memseg": MethodRecipe(name="memseg", params={"preset": "asbench", "foreground": "table:memseg,auto"}),
}
"""What ASBench combines, in the order of the names."""


@dataclass(frozen=True)
class Hybrid:
    """One combination.

    Args:
        parts: keys of `PARTS`, in their order.
    """

    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the user types."""
        return HYBRID_PREFIX + "_".join(self.parts)

    @property
    def members(self) -> tuple[MethodRecipe, ...]:
        """The methods it stands for."""
        return tuple(PARTS[part] for part in self.parts)


HYBRIDS: Mapping[str, Hybrid] = {
    hybrid.name: hybrid for size in (2, 3, 4) for hybrid in (Hybrid(parts) for parts in combinations(PARTS, size))
}
"""By name: six pairs, four triples, and all four."""
