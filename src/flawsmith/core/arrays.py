"""Names for the arrays that cross package borders (docs/architecture.md, section 3)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""H×W×3, RGB, 0…255. Grey files are read as three equal channels."""

Mask = NDArray[np.bool_]
"""H×W, True on the defect."""

Map = NDArray[np.float32]
"""H×W anomaly map in image size; higher is more anomalous, raw (no sigmoid, no scaling)."""

FloatArray = NDArray[np.floating[Any]]


def freeze(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view of `array`, so that what was handed out cannot be changed behind its owner's back."""
    view = array.view()
    view.flags.writeable = False
    return view
