"""What is wrong with a folder, collected by rule and told together: one problem names all its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flawsmith.core.errors import DataError

SHOWN = 20
NAMED = 4
"""So many things are named in one line."""


@dataclass(frozen=True)
class Problem:
    """One broken rule.

    Args:
        code: the rule (docs/data.md); `E_…` is an error, `W_…` a warning.
        message: value, expectation and remedy, in one line, about the first file.
        files: all offenders.
        whole: whether the message speaks of all files already.
        sets: the files that offend together, such as the copies of one picture; empty where each offends alone.
        fatal: whether a warning stops the work all the same.
        brief: the message in one line of the terminal, where it is too long for it.
    """

    code: str
    message: str
    files: tuple[str, ...] = ()
    whole: bool = False
    sets: tuple[tuple[str, ...], ...] = ()
    fatal: bool = False
    brief: str = ""

    @property
    def is_error(self) -> bool:
        """Whether it stops the work."""
        return self.fatal or self.code.startswith("E_")

    def to_json(self) -> dict[str, Any]:
        """The first files, and how many there are; where several offend together, the first such sets too."""
        told = {"code": self.code, "message": self.message, "count": max(1, len(self.files)), "files": list(self.files[:SHOWN])}
        return {**told, "sets": [list(files) for files in self.sets[:SHOWN]]} if self.sets else told

    def line(self) -> str:
        """The message, with the number of further files, or of further sets of files."""
        more = len(self.sets or self.files) - 1
        told = self.brief or self.message
        return f"{told} (and {more} more)" if more > 0 and not self.whole else told


def first_of(things: Sequence[str]) -> str:
    """The first few by name, and the number of the others."""
    more = len(things) - NAMED
    return f"{', '.join(things[:NAMED])}{f' and {more} more' if more > 0 else ''}"


def collect(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Join the problems of one rule: the first message stays, the files are put together; errors come first."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.code, []).append(problem)
    joined = [_joined(several) for several in found.values()]
    return tuple(sorted(joined, key=lambda problem: not problem.is_error))


def _joined(problems: Sequence[Problem]) -> Problem:
    files = dict.fromkeys(name for problem in problems for name in problem.files)
    sets = dict.fromkeys(files for problem in problems for files in problem.sets)
    return replace(problems[0], files=tuple(files), sets=tuple(sets), fatal=any(problem.fatal for problem in problems))


def raise_errors(problems: Sequence[Problem]) -> None:
    """Raise the first error with all its files; do nothing where there are only warnings.

    Raises:
        DataError: one of `problems` is an error.
    """
    for problem in collect(problems):
        if problem.is_error:
            raise DataError(problem.code, problem.line(), problem.files)


def summary(problems: Sequence[Problem]) -> str:
    """`2 E_CORRUPT, 1 E_SIZE`."""
    counts = Counter({problem.code: max(1, len(problem.files)) for problem in problems})
    return ", ".join(f"{count} {code}" for code, count in counts.items())
