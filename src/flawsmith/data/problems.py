"""What is wrong with a folder, collected by rule and told together: one problem names all its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flawsmith.core.errors import DataError

SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One broken rule.

    Args:
        code: the rule (docs/data.md); `E_…` is an error, `W_…` a warning.
        message: value, expectation and remedy, in one line, about the first file.
        files: all offenders.
        whole: whether the message speaks of all files already.
    """

    code: str
    message: str
    files: tuple[str, ...] = ()
    whole: bool = False

    @property
    def is_error(self) -> bool:
        """Whether it stops the work."""
        return self.code.startswith("E_")

    def to_json(self) -> dict[str, Any]:
        """The first files, and how many there are."""
        return {"code": self.code, "message": self.message, "count": max(1, len(self.files)), "files": list(self.files[:SHOWN])}

    def line(self) -> str:
        """The message, with the number of further files."""
        more = len(self.files) - 1
        return f"{self.message} (and {more} more)" if more > 0 and not self.whole else self.message


def collect(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Join the problems of one rule: the first message stays, the files are put together; errors come first."""
    first: dict[str, Problem] = {}
    files: dict[str, list[str]] = {}
    for problem in problems:
        first.setdefault(problem.code, problem)
        files.setdefault(problem.code, []).extend(problem.files)
    joined = [replace(first[code], files=tuple(dict.fromkeys(files[code]))) for code in first]
    return tuple(sorted(joined, key=lambda problem: not problem.is_error))


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
