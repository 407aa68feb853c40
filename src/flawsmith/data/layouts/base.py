"""The contract of a layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from flawsmith.data.dataset import Dataset
from flawsmith.data.problems import Problem
from flawsmith.data.tree import Tree


@dataclass(frozen=True)
class Found:
    """What a layout reads from a folder.

    Args:
        dataset: the samples.
        why: what made the layout fit.
        problems: broken rules that show without opening a file.
        unmatched: image files that are neither an image nor a mask of it.
    """

    dataset: Dataset
    why: str
    problems: tuple[Problem, ...] = ()
    unmatched: tuple[str, ...] = ()


class Layout(BaseModel, ABC):
    """A way to lay out images in a folder; its fields are its options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    known: ClassVar[bool] = False
    """Whether it is the form of one published data set: where such a layout fits, `auto` does not look at the general ones."""

    scans: ClassVar[bool] = True
    """Whether the names in the folder are looked at; where not, `read` is given an empty tree with the root."""

    sought: ClassVar[bool] = True
    """Whether `auto` asks if it fits; where not, it is used only by name."""

    @abstractmethod
    def fits(self, tree: Tree) -> tuple[str, ...]:
        """Why the folder is of this kind, one sentence per possible reading; empty where it is not."""

    @abstractmethod
    def expects(self, tree: Tree) -> str:
        """What this kind of folder looks like, and what is missing in `tree`; for messages."""

    @abstractmethod
    def read(self, tree: Tree) -> Found:
        """Read the names; no image is opened.

        Raises:
            DataError: E_LAYOUT: the folder is not of this kind, or has two readings.
        """

    def spelled(self) -> str:
        """The layout as `--layout` takes it."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        options = ",".join(f"{key}={_spelled(value)}" for key, value in given.items())
        return f"{self.name}:{options}" if options else self.name


def _spelled(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
