"""Reading the world: layouts, splits, checks.

`load` turns a folder into a `Dataset`; nothing after it knows how the folder was laid out.
"""

from flawsmith.data.loading import load

__all__ = ["load"]
