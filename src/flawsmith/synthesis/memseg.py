"""MemSeg's generator: under Perlin noise on the object, blend in a foreign texture or the picture's own shuffled cells.

MemSeg (Yang, Wu and Feng, Engineering Applications of Artificial Intelligence 2023), its anomaly simulation strategy; code:
TooTouch/MemSeg (MIT), dataset.py, the common re-implementation. Presets `realnet` and `realnet_dtd` are the generator of RealNet
(Zhang, Xu and Zhou, CVPR 2024; cnulab/RealNet, realnet_dataset.py), which is the same but for its numbers and always takes a
texture: `realnet` from a folder of pictures made by diffusion, `realnet_dtd` from one of textures.
Departs in six places: the object is found by `auto` where the original has a table of thresholds for the classes of MVTec AD
(`foreground=table:memseg`, as in preset `asbench`); sides that the grid does not divide are thought to go on mirrored
(`uneven`); an empty mask is drawn again (`on_empty`); a texture that changes nothing is replaced (`require_change`); a grey
picture gets a grey texture (`match_grey`); without a folder of photographs the textures are computed (`textures`). Anomalies and
normals alternate in the original, which here is the stream's ratio, and its resizing to 288 and cropping to 256 is left to you.
ASBench's three pipelines disagree: MemSeg's own is `asbench`, the others `asbench_draem` and `asbench_destseg`, both with one
threshold for every object there is. What it runs as RealNet is the same three with a folder of pictures made by diffusion:
`asbench_realnet`, `asbench_realnet_draem` and `asbench_realnet_destseg`, the last of which differs from `asbench_destseg` in the
folder alone.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from flawsmith.appearance.blending import Places
from flawsmith.appearance.photometry import POOL
from flawsmith.core.errors import BadParameter
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.perlin import PerlinMask
from flawsmith.synthesis.perlin_texture import Foreign, PerlinTexture
from flawsmith.synthesis.training_free import OpacityRange, Placed, Scene

Cells = Annotated[int, Field(ge=1, le=32)]
AS_RELEASED = {"uneven": "refuse", "on_empty": "keep", "match_grey": False, "require_change": False}
DARK = {**AS_RELEASED, "foreground": "threshold:100"}
REALNET = {"foreground": "table:realnet,auto", "texture_share": 1.0}


class MemSeg(PerlinTexture):
    """Blend a texture, or the picture's own cells, into the object under a Perlin mask; `PerlinTexture`'s parameters and these.

    Args:
        textures: as for DRAEM; with `structural` there is no texture, and every anomaly is structural.
        opacity: least and largest weight of the texture in the blend.
        operators: how many operators of DRAEM's pool change each texture.
        foreground: where the object is: a rule or a folder of masks.
        texture_share: share of the anomalies that take a texture; the others take the picture's own cells.
        structural_operators: how many operators of the pool change the picture before it is cut into cells.
        cells: of the grid, down and across.
        uneven: sides that the grid does not divide go on mirrored (`mirror`), or are refused (`refuse`).
    """

    name: ClassVar[str] = "memseg"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(
        needs=frozenset({"normal", "textures"}), takes_mask=True, nonempty=0.9, area=(0.01, 0.1)
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "official": {},
        "asbench": {**AS_RELEASED, "foreground": "table:memseg"},
        "asbench_draem": {**DARK, "opacity": (0.0, 0.8)},
        "asbench_destseg": {**DARK, "structural_operators": 0, "rotation": 0.0},
        "asbench_realnet": {**AS_RELEASED, "foreground": "table:memseg", "texture_share": 1.0},
        "asbench_realnet_draem": {**DARK, "texture_share": 1.0, "opacity": (0.5, 1.0)},
        "asbench_realnet_destseg": {**DARK, "structural_operators": 0, "rotation": 0.0},
        "realnet": {**REALNET, "opacity": (0.5, 1.0)},
        "realnet_dtd": {**REALNET, "opacity": (0.2, 1.0), "operators": 3},
    }

    foreground: str = "auto"
    opacity: OpacityRange = (0.15, 1.0)
    operators: int = Field(default=0, ge=0, le=len(POOL))
    texture_share: float = Field(default=0.5, ge=0, le=1)
    structural_operators: int = Field(default=3, ge=0, le=len(POOL))
    cells: tuple[Cells, Cells] = (8, 8)
    uneven: Literal["mirror", "refuse"] = "mirror"

    def place(self, scene: Scene) -> Placed:
        """Noise on the object; then I' = (1-M) I + M (δ A + (1-δ) I)."""
        self._check_grid(scene.size)
        return super().place(scene)

    def _foreign(self, scene: Scene, places: Places, found: PerlinMask, rng: np.random.Generator) -> Foreign:
        """A texture by a biased coin, else the picture's own cells."""
        takes_texture = rng.random() < self.texture_share
        if takes_texture and self.textures != "structural":
            return super()._foreign(scene, places, found, rng)
        return self._structural(scene, places, rng, self.structural_operators, self.cells)

    def _check_grid(self, size: tuple[int, int]) -> None:
        if self.uneven == "refuse" and (size[0] % self.cells[0] or size[1] % self.cells[1]):
            high, wide = (side // count * count or count for side, count in zip(size, self.cells, strict=True))
            raise BadParameter(
                f"the picture is {size[1]}×{size[0]}, which a grid of {self.cells[1]}×{self.cells[0]} cells does not divide; "
                f"expected a size such as {wide}×{high}: resize it, or set uneven=mirror"
            )
