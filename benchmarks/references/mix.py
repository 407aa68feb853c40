"""A mix by weight: draw a member, let its plain implementation work."""

import numpy as np

from benchmarks.references import cutpaste, cutpaste_scar, draem

MEMBERS = ((draem.make, 2), (cutpaste.make, 1), (cutpaste_scar.make, 1))


def make(image, inputs, rng):
    weights = np.array([weight for _, weight in MEMBERS], float)
    return MEMBERS[rng.choice(len(MEMBERS), p=weights / weights.sum())][0](image, inputs, rng)
