"""Mix: several synthesizers as one; each request goes to a member drawn by weight.

The number of samples stays what was asked for (ASBench's hybrids concatenate their members and grow the epoch with each). Which
member answers is a pure function of the request's seed, and the member's provenance makes the pixels again without the mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self, cast

import numpy as np
from pydantic import Field, field_validator

from flawsmith.core.errors import BadParameter, UsageError
from flawsmith.core.methods import Method
from flawsmith.core.recipes import WeightedMethod
from flawsmith.core.registry import build_synthesizer
from flawsmith.core.requests import Anomaly, Request
from flawsmith.core.samples import SupportSet
from flawsmith.core.synthesizer import Heritage, Synthesizer, SynthesizerTraits, check_needs, heritage_of, together

TRAITS = SynthesizerTraits(nonempty=0.9)
"""What every mix keeps; an instance promises what its members do."""


class _TraitsOfMembers:
    """Traits of the class, or of an instance's members together."""

    def __get__(self, mix: Mix | None, owner: type[Mix]) -> SynthesizerTraits:
        return TRAITS if mix is None else mix.combined_traits


class Mix(Method):
    """Several synthesizers by weight.

    Args:
        members: synthesizers and their weights; they need not sum to 1.
    """

    name: ClassVar[str] = "mix"
    traits: ClassVar[SynthesizerTraits] = cast(SynthesizerTraits, _TraitsOfMembers())
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}}

    members: tuple[WeightedMethod, ...] = Field(min_length=1)

    @field_validator("members")
    @classmethod
    def _spell_out(cls, members: tuple[WeightedMethod, ...]) -> tuple[WeightedMethod, ...]:
        if any(member.method.name == cls.name for member in members):
            raise BadParameter("a mix inside a mix; expected its members instead: list them with their weights")
        spelled = [build_synthesizer(member.method).recipe() for member in members]
        return tuple(WeightedMethod(method=m, weight=member.weight) for m, member in zip(spelled, members, strict=True))

    @cached_property
    def built(self) -> tuple[Synthesizer, ...]:
        """The members themselves, in order."""
        return tuple(build_synthesizer(member.method) for member in self.members)

    @property
    def combined_traits(self) -> SynthesizerTraits:
        """What all members promise together, as they are now: fitting can make a promise firmer."""
        traits = [member.traits for member in self.built]
        return SynthesizerTraits(
            makes=frozenset().union(*(t.makes for t in traits)),
            trainable=any(t.trainable for t in traits),
            uses_real_anomalies=any(t.uses_real_anomalies for t in traits),
            needs=frozenset().union(*(t.needs for t in traits)),
            local=all(t.local for t in traits),
            coarse_label=any(t.coarse_label for t in traits),
            batch_exact=all(t.batch_exact for t in traits),
            twins=all(t.twins for t in traits),
            takes_mask=all(t.takes_mask for t in traits),
            min_side=max(t.min_side for t in traits),
            nonempty=min(t.nonempty for t in traits),
            area=(min(t.area[0] for t in traits), max(t.area[1] for t in traits)),
        )

    def check_needs(self) -> None:
        """Refuse a mix with a member that lacks what no support set can give it.

        Raises:
            NeedUnmet: from the member.
        """
        for member in self.built:
            check_needs(member)

    @property
    def heritage(self) -> Heritage:
        """What the members bring from before this run, together."""
        return together([heritage_of(member) for member in self.built])

    def fit(self, support: SupportSet) -> Self:
        """Fit every member; returns self."""
        for member in self.built:
            member.fit(support)
        return self

    def synthesize(self, requests: Sequence[Request]) -> list[Anomaly]:
        """One anomaly per request, in order; each member answers its requests in one call.

        Raises:
            UsageError: a mask is asked and not every member takes one.
        """
        self._refuse_masks(requests)
        chosen = [self._choose(request) for request in requests]
        answers: dict[int, Anomaly] = {}
        for k, member in enumerate(self.built):
            mine = [i for i, choice in enumerate(chosen) if choice == k]
            answered = member.synthesize([requests[i] for i in mine]) if mine else []
            for i, anomaly in zip(mine, answered, strict=True):
                answers[i] = replace(anomaly, provenance=replace(anomaly.provenance, component=member.name))
        return [answers[i] for i in range(len(requests))]

    def _choose(self, request: Request) -> int:
        ends = np.cumsum([member.weight for member in self.members])
        return int(np.searchsorted(ends, request.seed.numpy("mix").random() * ends[-1], side="right"))

    def _refuse_masks(self, requests: Sequence[Request]) -> None:
        if any(request.mask is not None for request in requests) and not self.traits.takes_mask:
            refusing = ", ".join(member.name for member in self.built if not member.traits.takes_mask)
            raise UsageError(
                f"{refusing} takes no mask, and this request has one; expected members that do: leave it out of the mix"
            )
