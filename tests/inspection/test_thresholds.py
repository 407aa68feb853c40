import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter
from flawsmith.inspection.thresholds import Threshold, normal_quantile, turned_copies


def test_the_conformal_rank_by_hand():
    # ceil(20 · 0.9) = 18: the 18th smallest of 19
    assert normal_quantile(list(range(19)), 0.1, "normals").value == 17.0


def test_too_few_scores_give_the_largest_and_say_so():
    found = normal_quantile([3.0, 1.0, 2.0], 0.05, "held-out normals")
    assert found.value == 3.0
    assert "too few for 5%; expect about 25%" in found.source


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.1, 0.2]))
def test_a_good_part_exceeds_it_with_at_most_the_accepted_probability(seed: int, false_alarms: float):
    rng = np.random.default_rng(seed)
    alarms = [
        rng.random() > normal_quantile(rng.random(39).tolist(), false_alarms, "normals").value  # any continuous law will do
        for _ in range(400)
    ]
    assert np.mean(alarms) < false_alarms + 4 * np.sqrt(false_alarms / 400)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_the_threshold_is_one_of_the_scores(scores: list[float]):
    assert normal_quantile(scores, 0.05, "normals").value in scores


@pytest.mark.parametrize(("scores", "false_alarms"), [([], 0.05), ([1.0], 0.0), ([1.0], 1.0)])
def test_nonsense_is_refused(scores: list[float], false_alarms: float):
    with pytest.raises(BadParameter, match="expected"):
        normal_quantile(scores, false_alarms, "normals")


def test_json_round_trip():
    found = normal_quantile([0.1, 0.2], 0.05, "normals")
    assert Threshold.from_json(found.to_json()) == found


def test_turned_copies_are_three_other_views():
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    copies = turned_copies([image])
    assert len({copy.tobytes() for copy in (*copies, image)}) == 4
    assert all(copy.shape == image.shape for copy in copies)


def test_rounding_does_not_move_the_rank():
    # 150 · 0.82 = 123 exactly; in floats it is a hair more, which would take the next score
    assert normal_quantile(list(range(149)), 0.18, "normals").value == 122


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(BadParameter, match="hold nan"):
        normal_quantile([1.0, float("nan")], 0.05, "normals")
