"""Everything that defines one synthesis or one training, as data; one YAML file holds one.

Every command-line option maps to a field here. Recipes are frozen and refuse unknown fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from flawsmith.core.errors import BadParameter, DamagedFile, UnknownName, UsageError
from flawsmith.core.files import canonical_json, sha256_bytes, write_text
from flawsmith.core.hybrids import HYBRID_PREFIX, HYBRIDS
from flawsmith.core.methods import MethodRecipe, describe_invalid
from flawsmith.core.shots import Shots

RatioMode = Literal["bernoulli", "stratified"]
Rotation = Literal["none", "draem", "slight", "full"]
Mixing = Literal["choice", "concat"]


class Recipe(BaseModel):
    """Base of all recipes: a frozen pydantic model with a format version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1

    @classmethod
    def parse(cls, values: Mapping[str, Any], what: str) -> Self:
        """Build from plain values.

        Raises:
            BadParameter: naming the field.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise BadParameter(describe_invalid(what, error)) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a YAML file.

        Raises:
            DamagedFile: missing or no YAML.
            BadParameter: a field does not exist or is outside its range.
        """
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = str(error).replace("\n", " ")
            raise DamagedFile(f"{path} cannot be read ({reason}); expected a YAML recipe: write it again") from error
        if not isinstance(values, dict):
            raise DamagedFile(f"{path} holds no recipe; expected YAML fields: write it again")
        return cls.parse(values, str(path))

    def write(self, path: Path) -> None:
        """Write as YAML, aside and renamed."""
        write_text(path, yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True))

    def digest(self) -> str:
        """SHA-256 of the content: equal recipes have equal digests."""
        return sha256_bytes(canonical_json(self.model_dump(mode="json")).encode())


class WeightedMethod(BaseModel):
    """One member of a mix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: MethodRecipe
    weight: float = Field(default=1.0, gt=0)


class SynthesisRecipe(Recipe):
    """One synthetic set.

    Args:
        methods: who makes it, by weight.
        n: how many images.
        size: side to which normals are resized (area when shrinking); None: native.
        seed: root of every draw.
        defect: the kind wanted, when the caller decides.
        product: one product, or None for all.
        layout: how the folder is read.
        split: policy of the split from whose training side normals are taken, or a split's file; `none`: there is no split.
        defect_shots: real anomalies per defect to work from, drawn as a training draws them: a number, or words (`core.shots`).
        mixing: `choice`, each image's method drawn by weight; `concat`, `n` images of each method, over the normals in order.
        mask_shape: words for the families that each image's mask is drawn from, when the caller decides where; None: the method.
    """

    methods: tuple[WeightedMethod, ...] = Field(min_length=1)
    n: int = Field(ge=1)
    size: int | None = Field(default=None, ge=32, le=8192)
    seed: int = 0
    defect: str | None = None
    product: str | None = None
    layout: str = "auto"
    split: str = "auto"
    defect_shots: int | str = 0
    mixing: Mixing = "choice"
    mask_shape: str | None = None

    @field_validator("defect_shots", mode="before")
    @classmethod
    def _check_defect_shots(cls, value: Any) -> int | str:
        return Shots.parse(value).spelled()

    @field_validator("mixing")
    @classmethod
    def _check_mixing(cls, value: Mixing, known: ValidationInfo) -> Mixing:
        return _unweighted(value, known.data.get("methods", ()))


class TrainingRecipe(Recipe):
    """One training: detector ⊗ (synthesizer, data, ratio).

    Args:
        detector: who learns.
        synth: who makes its anomalies, by weight; empty: none.
        mixing: `choice`, each anomaly's method drawn by weight; `concat`, every method meets every normal once per epoch.
        ratio: probability that a training item is anomalous, 0…1.
        ratio_mode: `bernoulli` (an independent coin) or `stratified` (exact in every prefix).
        real_share: share of the anomalous items that are real, where some are given; None: half, or all without synthesizers.
        rotation: policy for clean images before synthesis.
        photometry: strength of the global brightness and contrast jitter, 0…1.
        pool: number of distinct stream items; None: endless.
        product: which product; None where there is one.
        layout: how the folder is read.
        split: split policy, or a split's file; `auto`: the data's own, else grouped.
        shots: number of normals, or the first ones in file order (`first:4`); None: all.
        defect_shots: real anomalies per defect: a number, or words (`core.shots`); 0: none.
        validation_share: share of the training normals held out for the threshold; None: a tenth, and more where there are few.
        false_alarms: accepted share of good parts called defective, sets the threshold.
        steps: optimiser steps; None: the detector's own number.
        seconds: clock limit of the training; None: none.
        seed: root of every draw.
    """

    detector: MethodRecipe
    synth: tuple[WeightedMethod, ...] = ()
    mixing: Mixing = "choice"
    ratio: float = Field(default=0.5, ge=0, le=1)
    ratio_mode: RatioMode = "bernoulli"
    real_share: float | None = Field(default=None, ge=0, le=1)
    rotation: Rotation = "none"
    photometry: float = Field(default=0.0, ge=0, le=1)
    pool: int | None = Field(default=None, ge=1)
    product: str | None = None
    layout: str = "auto"
    split: str = "auto"
    shots: int | str | None = None
    defect_shots: int | str = 0
    validation_share: float | None = Field(default=None, ge=0, lt=1)
    false_alarms: float = Field(default=0.05, gt=0, lt=1)
    steps: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    seed: int = 0

    @field_validator("shots", mode="before")
    @classmethod
    def _check_shots(cls, value: Any) -> int | str | None:
        return None if value is None else Shots.of_normals(value).spelled()

    @field_validator("defect_shots", mode="before")
    @classmethod
    def _check_defect_shots(cls, value: Any) -> int | str:
        return Shots.parse(value).spelled()

    @field_validator("mixing")
    @classmethod
    def _check_mixing(cls, value: Mixing, known: ValidationInfo) -> Mixing:
        return _unweighted(value, known.data.get("synth", ()))


def _unweighted(mixing: Mixing, methods: Sequence[WeightedMethod]) -> Mixing:
    """Refuse unequal weights where every method takes an equal part."""
    if mixing == "concat" and len({member.weight for member in methods}) > 1:
        told = ", ".join(f"{member.method.name}:{member.weight:g}" for member in methods)
        raise ValueError(f"equal weights with it (they are {told}), or choice")
    return mixing


def parse_methods(text: str, settings: Sequence[str] = ()) -> tuple[WeightedMethod, ...]:
    """Read `draem:2,nsa:1` together with settings such as `nsa.preset=asbench`.

    A hybrid of ASBench (`flawsmith.core.hybrids`) stands for its members, which share its weight; settings name members.

    Raises:
        UsageError: the text is empty, a weight is no positive number, a method comes twice, a setting is malformed or names
            a method that is not there.
        UnknownName: no such hybrid.
    """
    members: dict[str, WeightedMethod] = {}
    for part in (part.strip() for part in text.split(",")):
        name, _, told = part.partition(":")
        meant = _meant(name)
        weight = _weight(name, told) / len(meant)
        for method in meant:
            if not name or method.name in members:
                raise UsageError(
                    f"{text!r} is no list of methods; expected NAME[:WEIGHT],… with each name once, as in draem:2,nsa:1"
                )
            members[method.name] = WeightedMethod(method=method, weight=weight)
    params = parse_settings(settings, list(members))
    return tuple(_with_params(member, params.get(name, {})) for name, member in members.items())


def _meant(name: str) -> tuple[MethodRecipe, ...]:
    """The method of a name, or the members of a hybrid."""
    if name.startswith(HYBRID_PREFIX) and name not in HYBRIDS:
        raise UnknownName("hybrid", name, HYBRIDS, "`flawsmith methods` lists them")
    return HYBRIDS[name].members if name in HYBRIDS else (MethodRecipe(name=name),)


def _with_params(member: WeightedMethod, params: Mapping[str, Any]) -> WeightedMethod:
    method = MethodRecipe(name=member.method.name, params={**member.method.params, **params})
    return WeightedMethod(method=method, weight=member.weight)


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text or "1")
    except ValueError:
        weight = float("nan")
    if not 0 < weight < float("inf"):
        raise UsageError(f"the weight of {name} is {text!r}; expected a number above 0, as in {name}:2")
    return weight


def parse_settings(settings: Sequence[str], methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read `METHOD.PARAMETER=VALUE` (the value as YAML) into one dictionary per method.

    Raises:
        UsageError: malformed, or a method that takes no part.
    """
    params: dict[str, dict[str, Any]] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        method, dot, parameter = key.partition(".")
        if not (equals and dot and parameter):
            raise UsageError(
                f"--set {setting!r} is malformed; expected METHOD.PARAMETER=VALUE, as in {methods[0]}.preset=asbench"
            )
        if method not in methods:
            raise UsageError(f"--set {setting!r} names {method!r}; expected one of: {', '.join(methods)}")
        try:
            params.setdefault(method, {})[parameter] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {setting!r} has no readable value; expected a number, a word or [a, b]") from error
    return params
