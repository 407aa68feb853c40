"""Building networks from a seed without touching torch's global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from flawsmith.core.seeding import Seed


@contextmanager
def seeded_construction(seed: Seed) -> Iterator[None]:
    """Inside the block, modules initialise their weights from `seed`; afterwards the global state is what it was.

    torch's layers draw from the global generator only, so the block lends it to them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed.entropy("initialisation") % 2**63)
        yield
