"""For method authors, ours and plug-ins': conformance suites, and toy data that needs no download.

`check_synthesizer` and `check_detector` are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["check_detector", "check_synthesizer"]

_HOMES = {"check_detector": "flawsmith.testing.detectors", "check_synthesizer": "flawsmith.testing.synthesizers"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flawsmith.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
