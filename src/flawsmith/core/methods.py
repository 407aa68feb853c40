"""What synthesizers and detectors share: a method is its parameters, and its parameters are a recipe.

Constructing a method stores its arguments and does nothing else: no file, no network, no device, no draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flawsmith.core.errors import BadParameter, UnknownName, nearest_of


class MethodRecipe(BaseModel):
    """A method and its parameters, as data: `build(recipe).recipe() == recipe` once presets are spelled out.

    Args:
        name: registry name.
        params: parameters that differ from the preset, or all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class Method(BaseModel):
    """A frozen set of parameters with named presets; base of every synthesizer and detector.

    A subclass declares fields with their ranges. `presets` maps a preset's name to the values it sets; the first is the default.
    A value given explicitly wins over the preset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    name: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"official": {}}

    preset: str = ""

    @model_validator(mode="before")
    @classmethod
    def _spell_out_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        preset = values.get("preset") or next(iter(cls.presets))
        if not isinstance(preset, str) or preset not in cls.presets:
            raise UnknownName(f"preset of {cls.name}", str(preset), cls.presets)
        return {**cls.presets[preset], **values, "preset": preset}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Build from plain values.

        Raises:
            BadParameter: a parameter does not exist or is outside its range; the message names it.
            UnknownName: no such preset.
        """
        for key in params:
            if key not in cls.model_fields:
                known = [name for name in cls.model_fields if name != "preset"]
                raise BadParameter(f"{cls.name} has no parameter {key!r}; {nearest_of(key, [*known, 'preset'])}")
        try:
            return cls(**params)
        except ValidationError as error:
            raise BadParameter(describe_invalid(cls.name, error)) from error

    def recipe(self) -> MethodRecipe:
        """Every parameter, spelled out."""
        return MethodRecipe(name=self.name, params=self.model_dump(mode="json"))


def describe_invalid(what: str, error: ValidationError) -> str:
    """One line for pydantic's first complaint: the parameter, the value seen, what was expected."""
    first = error.errors(include_url=False)[0]
    where, told = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
    return f"{what}: parameter {where} is {first.get('input')!r}; expected: {told}" if where else f"{what}: {told}"
