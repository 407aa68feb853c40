"""DeSTSeg's generator: blend a texture as it is into the picture where Perlin noise says so.

DeSTSeg (Zhang et al., CVPR 2023), section 3.1; original code: apple/ml-destseg (Apple's sample-code licence),
data_utils.py and mvtec_dataset.py. It is DRAEM's generator without a change to the textures; every picture gets an anomaly, which
here is the stream's ratio.
Departs in five places: the original turns the normal by a rule for each class, which here the anomaly stream does; an empty mask
is drawn again (`on_empty`); a texture that changes nothing is replaced (`require_change`); a grey picture gets a grey texture
(`match_grey`); without a folder of photographs the textures are computed (`textures`). The presets of ASBench keep empty masks,
unchanged pictures and colours; its pipelines disagree: DeSTSeg's own (`asbench`) draws coarser noise and does not turn it,
MemSeg's (`asbench_memseg`) does not turn it, DRAEM's (`asbench_draem`) changes the textures, which makes it equal to DRAEM.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from flawsmith.appearance.photometry import POOL
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.synthesis.perlin_texture import PerlinTexture

AS_RELEASED = {"on_empty": "keep", "match_grey": False, "require_change": False}


class DeSTSeg(PerlinTexture):
    """Blend a texture into the picture under a Perlin mask; the parameters are `PerlinTexture`'s, but for the one below.

    Args:
        operators: how many operators of DRAEM's pool change each texture.
    """

    name: ClassVar[str] = "destseg"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(
        needs=frozenset({"normal", "textures"}), takes_mask=True, nonempty=0.85, area=(0.02, 0.1)
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "official": {},
        "asbench": {**AS_RELEASED, "exponents": (0, 3), "rotation": 0.0},
        "asbench_memseg": {**AS_RELEASED, "rotation": 0.0},
        "asbench_draem": {**AS_RELEASED, "operators": 3},
    }

    operators: int = Field(default=0, ge=0, le=len(POOL))
