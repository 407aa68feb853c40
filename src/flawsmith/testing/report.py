"""What a conformance suite says: one outcome per check, strict about failures that were expected.

A check is a plain function named after one clause of the contract; it raises `AssertionError` where the clause does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from flawsmith.core.errors import UnknownName

Status = Literal["passed", "failed", "expected failure", "unexpected pass"]


@dataclass(frozen=True)
class CheckOutcome:
    """How one check ended.

    Args:
        check: its name.
        status: `failed` and `unexpected pass` are failures of the report.
        message: why; for an expected failure the stated reason and what was raised.
    """

    check: str
    status: Status
    message: str = ""


class NotConforming(AssertionError):
    """A method breaks its contract; the message lists every failed check."""


@dataclass(frozen=True)
class ConformanceReport:
    """The outcomes of all checks on one method.

    Args:
        subject: the method's name.
        outcomes: one per check, in order.
    """

    subject: str
    outcomes: tuple[CheckOutcome, ...]

    def names(self, status: Status | None = None) -> tuple[str, ...]:
        """Names of the checks, all of them or those that ended with `status`."""
        return tuple(outcome.check for outcome in self.outcomes if status in (None, outcome.status))

    @property
    def failures(self) -> tuple[CheckOutcome, ...]:
        """What must be mended: failed checks, and expected failures that did not happen."""
        return tuple(outcome for outcome in self.outcomes if outcome.status in ("failed", "unexpected pass"))

    def raise_if_failed(self) -> None:
        """Raise `NotConforming` naming every failure."""
        if self.failures:
            told = "\n".join(f"  {outcome.check}: {outcome.status}: {outcome.message}" for outcome in self.failures)
            raise NotConforming(f"{self.subject} does not conform:\n{told}")


def run_checks(
    subject: str, checks: Mapping[str, Callable[[], None]], expected_failures: Mapping[str, str] | None = None
) -> ConformanceReport:
    """Run every check and gather the outcomes.

    Args:
        subject: the method's name.
        checks: by name, each ready to be called.
        expected_failures: reason by check name; one named here that passes is a failure: a repaired one must be struck off.

    Raises:
        UnknownName: an expected failure names no check.
    """
    expected = dict(expected_failures or {})
    for name in expected:
        if name not in checks:
            raise UnknownName("check", name, checks)
    return ConformanceReport(subject, tuple(_outcome(name, check, expected.get(name)) for name, check in checks.items()))


def _outcome(name: str, check: Callable[[], None], reason: str | None) -> CheckOutcome:
    try:
        check()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        return (
            CheckOutcome(name, "failed", told) if reason is None else CheckOutcome(name, "expected failure", f"{reason} ({told})")
        )
    return CheckOutcome(name, "passed") if reason is None else CheckOutcome(name, "unexpected pass", f"strike it off: {reason}")
