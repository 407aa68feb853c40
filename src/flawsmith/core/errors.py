"""Every error a user can meet, in one tree.

FlawsmithError                 exit code 1: the data or the run failed
├── DataError                  something in the user's images, masks or labels; carries a code of `docs/data.md`
│   ├── NoPixelTruth           pixels asked of data that has none (E_NO_PIXEL_GT)
│   └── EmptyForeground        a foreground without a single pixel
├── NotFitted                  used before `fit`
├── NeedUnmet                  a method lacks what it declared to need; said before any work starts
├── DamagedFile                a stored file is missing, changed or of an unknown version
├── OutputError                a result cannot be written (disk, permission, name taken)
├── DownloadError              a data set cannot be fetched, or what came is not what was expected
├── UnsafeArchive              an archive that would write outside its folder, or more than it may
└── UsageError                 exit code 2: the call was wrong
    ├── UnknownName            no such method, layout, product …: the nearest are offered
    └── BadParameter           a parameter outside its range, or one that does not exist

A message names the value, what was expected, and what to do. It fits one line.
"""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class FlawsmithError(Exception):
    """Base of all errors that are answers, not defects of the program."""

    exit_code = 1
    code = "E_FAILED"


class DataError(FlawsmithError):
    """Something in the user's data breaks a rule; `code` is the rule, `files` are the offenders."""

    def __init__(self, code: str, message: str, files: Sequence[str | Path] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.files = tuple(str(file) for file in files)


class NoPixelTruth(DataError):
    """Pixel ground truth was asked of a sample or set that has none."""

    def __init__(self, message: str, files: Sequence[str | Path] = ()) -> None:
        super().__init__("E_NO_PIXEL_GT", message, files)


class EmptyForeground(DataError):
    """A foreground mask without a single True pixel."""

    def __init__(self, message: str, files: Sequence[str | Path] = ()) -> None:
        super().__init__("E_FOREGROUND", message, files)


class NotFitted(FlawsmithError):
    """A method that must be fitted was used before `fit`."""

    code = "E_NOT_FITTED"

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} was used before fit: expected a fitted method; call fit(...) or load a saved one")


class NeedUnmet(FlawsmithError):
    """A method declared a need that this call does not meet; raised before any work is done."""

    code = "E_NEED"

    def __init__(self, method: str, missing: str, remedy: str) -> None:
        super().__init__(f"{method} needs {missing}, and this run has none; {remedy}")
        self.method, self.missing, self.remedy = method, missing, remedy


class DamagedFile(FlawsmithError):
    """A stored file is missing, was changed since it was written, or has an unknown format version."""

    code = "E_DAMAGED"


class OverBudget(FlawsmithError):
    """The work does not fit the memory it may take; said before it starts."""

    code = "E_MEMORY"


class OutputError(FlawsmithError):
    """A result cannot be written: no space, no permission, or the name is taken."""

    code = "E_OUTPUT"


class DownloadError(FlawsmithError):
    """A data set cannot be fetched: no network, no such address, cut off, or another file than the expected one."""

    code = "E_DOWNLOAD"


class UnsafeArchive(FlawsmithError):
    """An archive holds links, devices, paths that leave its folder, or more than was declared; nothing of it is kept."""

    code = "E_ARCHIVE"


class UsageError(FlawsmithError):
    """The call itself is wrong."""

    exit_code = 2
    code = "E_USAGE"


class UnknownName(UsageError):
    """No such name; the message offers the nearest ones."""

    code = "E_UNKNOWN"

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"no {kind} {name!r}; {nearest_of(name, self.known)}{'; ' + hint if hint else ''}")


class BadParameter(UsageError, ValueError):
    """A parameter does not exist or is outside its range."""

    code = "E_PARAMETER"


def nearest_of(name: str, known: Sequence[str], most: int = 3) -> str:
    """Say which of `known` come nearest to `name`: 'did you mean x?', or the whole list where nothing is near."""
    near = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=most, cutoff=0.5)
    found = [k for k in known if k.lower() in near]
    if found:
        return f"did you mean {' or '.join(found)}?"
    return f"known: {', '.join(known) if known else 'none'}"
