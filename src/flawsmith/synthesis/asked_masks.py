"""The place that the caller decides: a mask of a family of shapes, drawn for each item from its own seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flawsmith.core.arrays import Image
from flawsmith.core.errors import UsageError
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.registry import synthesizers
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Synthesizer
from flawsmith.masks.families import parse_families
from flawsmith.masks.foreground import foreground_mask, parse_rule
from flawsmith.masks.shapes import DrawnMask, draw_mask

NO_FOREGROUND = "none"


@dataclass(frozen=True)
class AskedMask:
    """Which masks to draw.

    Args:
        shape: words for families, as in `line`, `ellipse:small` or `Brush_Tiny`.
        foreground: rule for where the object is; the mask lies inside it.
    """

    shape: str
    foreground: str = NO_FOREGROUND

    def draw(self, image: Image, name: str, seed: Seed, dataset: str = "") -> DrawnMask | None:
        """The mask for one picture, named as in messages, of a data set; None where nothing large enough fits."""
        foreground = foreground_mask(parse_rule(self.foreground), image, name, dataset=dataset)
        size = (image.shape[0], image.shape[1])
        return draw_mask(parse_families(self.shape), size, seed.numpy("asked mask"), foreground=foreground)

    def to_json(self) -> dict[str, str]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> AskedMask | None:
        """The inverse of `to_json`; None of None."""
        return None if value is None else cls(str(value["shape"]), str(value["foreground"]))


def asked_mask(shape: str | None, methods: Sequence[Synthesizer]) -> AskedMask | None:
    """What the word of a recipe asks of its methods; None without one.

    The masks lie in the foreground where all methods have the same rule for it, else anywhere.

    Raises:
        UnknownName: the words name no family.
        BadParameter: no family is all of that, or it is the foreground and the methods have none.
        UsageError: a method takes no mask.
    """
    if shape is None:
        return None
    families = parse_families(shape)
    refusing = [method.name for method in methods if not method.traits.takes_mask]
    if refusing:
        takers = ", ".join(name for name, entry in synthesizers.entries.items() if entry.traits.takes_mask)
        verb = "takes" if len(refusing) == 1 else "take"
        raise UsageError(f"{' and '.join(refusing)} {verb} no mask, so --mask-shape {shape} fits nothing; expected {takers}")
    rules = {rule for method in methods for rule in _rules(method.recipe())}
    asked = AskedMask(shape, rules.pop() if len(rules) == 1 else NO_FOREGROUND)
    if asked.foreground == NO_FOREGROUND and any(family.shape == "foreground" for family in families):
        told = "the masks are the foreground itself, and no foreground is estimated"
        raise UsageError(f"--mask-shape is {shape}: {told}; expected a rule for it: add --set {methods[0].name}.foreground=auto")
    return asked


def _rules(recipe: MethodRecipe) -> set[str]:
    """The foreground rules of a method, or of the members of a mix."""
    members = recipe.params.get("members")
    if members is None:
        return {str(recipe.params.get("foreground", NO_FOREGROUND))}
    return {rule for member in members for rule in _rules(MethodRecipe.model_validate(member["method"]))}
