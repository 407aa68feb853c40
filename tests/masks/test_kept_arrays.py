"""Arrays that are kept for the next caller cannot be written to."""

import pytest

from flawsmith.appearance import poisson
from flawsmith.masks import morphology, perlin, shapes


@pytest.mark.parametrize(
    "array",
    [
        poisson._sine_matrix(16),
        poisson._eigenvalues(16),
        perlin._axis(32, 4).value,
        perlin._axis(32, 4).ramp,
        perlin._axis(32, 4).strips[0][-1],
        morphology._square(3),
        shapes._gaussian(5),
    ],
)
def test_kept_arrays_are_read_only(array):
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0
