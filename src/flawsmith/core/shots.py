"""How many photographs a training is given, as `--shots` and `--defect-shots` say it.

| text | meaning |
|---|---|
| `3` | three, drawn by the seed |
| `first:3` | the first three in file order, as UniADC takes them |
| `first-third` | of each defect the first third, at least one (SeaS; AnomalyDiffusion without its leak) |
| `first-third:ceil`, `:inclusive`, `:all` | the same with another size (`THIRDS`) |
| `first-third:2` | the first two of it; the whole third leaves the test, so that results stay comparable (SeaS, H = 2) |
| `anomalydiffusion-legacy` | `first-third:inclusive` |
| `aside` | all that the split keeps for whoever learns from real ones, as VisA's 2cls tables do; the test stays as it is |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Third = Literal["floor", "ceil", "inclusive", "all"]
"""Size of the first third of n: max(⌊n/3⌋, 1), ⌈n/3⌉, ⌊n/3⌋ + 1, or n."""

THIRDS: tuple[Third, ...] = get_args(Third)
FIRST = "first"
FIRST_THIRD = "first-third"
LEGACY = "anomalydiffusion-legacy"
ASIDE = "aside"
EXPECTED = "a number from 0 on, first:K, aside, first-third, first-third:K, or first-third:ceil, :inclusive or :all"
EXPECTED_OF_NORMALS = "a number of at least 1, or first:K"


@dataclass(frozen=True)
class Shots:
    """So many photographs, and which.

    Args:
        number: how many; None: all that `third` holds, or that are set aside.
        first: in file order; otherwise the seed draws.
        third: how large the first third is; None: there is no talk of thirds.
        aside: those that the split sets aside, and no others.
    """

    number: int | None = 0
    first: bool = False
    third: Third | None = None
    aside: bool = False

    def __bool__(self) -> bool:
        """Whether any is asked for."""
        return self.number != 0 or self.third is not None

    @classmethod
    def parse(cls, value: object) -> Shots:
        """Read a number or its text.

        Raises:
            ValueError: saying what was expected.
        """
        text = str(value).strip()
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(EXPECTED)
        if text.isascii() and text.isdecimal():
            return cls(int(text))
        if text == LEGACY:
            return cls(None, True, "inclusive")
        if text == ASIDE:
            return cls(None, aside=True)
        name, colon, rest = text.partition(":")
        number = int(rest) if rest.isascii() and rest.isdecimal() and int(rest) > 0 else None
        if name == FIRST and number:
            return cls(number, True)
        if name == FIRST_THIRD and number:
            return cls(number, True, "floor")
        third = next((known for known in THIRDS if (rest if colon else "floor") == known), None)
        if name == FIRST_THIRD and third:
            return cls(None, True, third)
        raise ValueError(EXPECTED)

    @classmethod
    def of_normals(cls, value: object) -> Shots:
        """Read how many normals are trained on: at least one, and no third, which is one of a defect.

        Raises:
            ValueError: saying what was expected.
        """
        try:
            shots = cls.parse(value)
        except ValueError as error:
            raise ValueError(EXPECTED_OF_NORMALS) from error
        if not shots.number or shots.third:
            raise ValueError(EXPECTED_OF_NORMALS)
        return shots

    def spelled(self) -> int | str:
        """The one way to write it: a number where the seed draws, else text."""
        if self.aside:
            return ASIDE
        if self.third is not None:
            rest = self.number if self.number is not None else None if self.third == "floor" else self.third
            return FIRST_THIRD if rest is None else f"{FIRST_THIRD}:{rest}"
        return f"{FIRST}:{self.number}" if self.first else int(self.number or 0)
