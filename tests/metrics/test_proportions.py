import math

import pytest

from flawsmith.metrics.proportions import wilson


def test_agrees_with_values_worked_by_hand() -> None:
    # Newcombe 1998, table I: 81/263 and 0/20
    assert (wilson(81, 263).low, wilson(81, 263).high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (wilson(0, 20).low, wilson(0, 20).high) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_mirrors_and_stays_in_the_unit_range() -> None:
    for hits in range(11):
        one, other = wilson(hits, 10), wilson(10 - hits, 10)
        assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-12)
        assert 0 <= one.low <= hits / 10 <= one.high <= 1


def test_nothing_counted_is_nan() -> None:
    assert math.isnan(wilson(0, 0).low)
