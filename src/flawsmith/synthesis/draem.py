"""DRAEM: blend a foreign texture into the picture where Perlin noise says so.

DRAEM (Zavrtanik et al., ICCV 2021), section 3.2 and figure 4; original code: VitjanZ/DRAEM (MIT), data_loader.py. Preset
`anomalib` is what open-edge-platform/anomalib (Apache-2.0), perlin.py, does without a folder of textures.
Departs in five places: the anomaly stream turns the normal, not the synthesizer; an empty mask is drawn again (`on_empty`); a
texture that changes nothing is replaced (`require_change`); a grey picture gets a grey texture, because a grey camera never sees
colour (`match_grey`); without a folder of photographs the textures are computed (`textures`). The presets of ASBench keep empty
masks, unchanged pictures and colours.
"""

from __future__ import annotations

from typing import Any, ClassVar

from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.synthesis.perlin_texture import PerlinTexture

AS_RELEASED = {"on_empty": "keep", "match_grey": False, "require_change": False}


class Draem(PerlinTexture):
    """Blend an augmented texture into the picture under a Perlin mask; the parameters are `PerlinTexture`'s, as they stand."""

    name: ClassVar[str] = "draem"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(
        needs=frozenset({"normal", "textures"}), takes_mask=True, nonempty=0.9, area=(0.02, 0.1)
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "official": {},
        "asbench": AS_RELEASED,
        "asbench_destseg": {**AS_RELEASED, "operators": 0},  # its pipeline for DeSTSeg leaves the textures as they are
        "anomalib": {"textures": "perlin"},
    }
