"""Keep freed memory in the process, so that the next picture finds it there.

A temporary of a quarter megabyte, as every step on a picture makes, is above glibc's first threshold: it is given back to the
system when freed, and its successor costs one page fault per 4 KiB, which is half of the time of a Perlin mask at 256×256. glibc
raises the threshold by itself to the size of any mapped block that is freed, up to 32 MiB; freeing one of that size once ends the
matter. No page of the block is touched, and elsewhere than on glibc nothing changes.
"""

from __future__ import annotations

import numpy as np

LARGEST_KEPT = 31 << 20


def keep_freed_memory() -> None:
    """Make this process keep freed blocks of up to 31 MiB; costs microseconds, and calling it again changes nothing."""
    block = np.empty(LARGEST_KEPT, np.uint8)
    del block
