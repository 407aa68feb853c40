"""Backbones by name: the one place that builds them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.seeding import Seed

if TYPE_CHECKING:
    from flawsmith.encoders.extractor import FeatureExtractor

BACKBONES: Mapping[str, str] = {
    "efficientnet_lite0": "flawsmith.encoders.efficientnet_lite:EfficientNetLite0",
    "tiny_cnn": "flawsmith.encoders.tiny:TinyCnn",
}
"""Class of each backbone."""

PRETRAINED: Mapping[str, str] = {"efficientnet_lite0": "flawsmith.encoders.efficientnet_lite:load_packaged"}
"""How a backbone gets its trained weights; those that are not here have none."""


def check_backbone(name: str) -> str:
    """Return `name` if there is such a backbone.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in BACKBONES:
        raise UnknownName("backbone", name, BACKBONES)
    return name


def build_encoder(name: str, *, deepest: str = "layer4", pretrained: bool = True, seed: Seed | None = None) -> FeatureExtractor:
    """A frozen backbone.

    Args:
        name: one of `BACKBONES`.
        deepest: the last layer needed; nothing behind it is built.
        pretrained: trained weights. Random ones are never a fallback: ask for them, and `weights` says `random`.
        seed: root of the random weights; None: they are left for `load_state_dict` to fill.

    Raises:
        UnknownName: no such backbone or layer.
        BadParameter: trained weights asked of a backbone that has none.
        DamagedFile: the weight file is missing or does not fit.
    """
    import torch

    from flawsmith.encoders.initialisation import draw_orthogonal

    with torch.random.fork_rng(devices=[]):
        model: FeatureExtractor = _resolve(BACKBONES[check_backbone(name)])(deepest)
    if pretrained:
        if name not in PRETRAINED:
            raise BadParameter(
                f"backbone {name!r} has no pretrained weights; expected pretrained=False, or one of: {', '.join(PRETRAINED)}"
            )
        _resolve(PRETRAINED[name])(model)
        return model
    if seed is not None:
        draw_orthogonal(model, seed.torch("backbone"))
    return model


def _resolve(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
