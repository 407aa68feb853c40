"""Flawsmith: makes the missing defects, trains an inspector on them, and says with numbers which way of making them works.

The public surface is `load`, `load_folder`, `synthesize`, `train`, `evaluate` and `metrics`; each is imported when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "evaluate", "load", "load_folder", "metrics", "synthesize", "train"]

_HOMES = {
    "load": ("flawsmith.data", "load"),
    "load_folder": ("flawsmith.data.anomalib", "load_folder"),
    "synthesize": ("flawsmith.synthesis.sets", "synthesize"),
    "train": ("flawsmith.inspection.training", "train"),
    "evaluate": ("flawsmith.inspection.evaluation", "evaluate"),
    "metrics": ("flawsmith.metrics", None),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flawsmith' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    loaded = importlib.import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)
