from dataclasses import replace

import pytest

from flawsmith.inspection.evaluation import Evaluation, ImageResult
from flawsmith.report.outcomes import Confusion, Examples, is_called_defective


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (Confusion(87, 13, 5, 95), "Finds 87 of 100 defective parts and calls 5 of 100 good parts defective."),
        (Confusion(1, 0, 0, 1), "Finds 1 of 1 defective part and calls 0 of 1 good part defective."),
        (Confusion(0, 0, 2, 18), "Calls 2 of 20 good parts defective; the test set holds no defective part."),
        (Confusion(3, 1, 0, 0), "Finds 3 of 4 defective parts; the test set holds no good part, so false alarms are unknown."),
    ],
)
def test_verdict_in_words(counts: Confusion, sentence: str) -> None:
    assert counts.sentence() == sentence


def test_counts_follow_the_verdicts(evaluation: Evaluation) -> None:
    counts = Confusion.of(evaluation.results, evaluation.threshold)
    assert (counts.anomalies, counts.normals) == (24, 24)
    found = [r for r in evaluation.results if r.prediction.verdict == "defect" and not r.sample.is_normal]
    assert counts.found == len(found)


def test_without_a_verdict_the_score_must_exceed_the_threshold(evaluation: Evaluation) -> None:
    result = evaluation.results[0]
    bare = replace(result.prediction, verdict=None, score=1.0)
    assert not is_called_defective(ImageResult(result.sample, bare), 1.0)
    assert is_called_defective(ImageResult(result.sample, bare), 0.999)


def test_examples_are_the_extremes_and_do_not_repeat(evaluation: Evaluation) -> None:
    examples = Examples.of(evaluation, 4)
    anomalies = sorted(r.prediction.score for r in evaluation.results if not r.sample.is_normal)
    normals = sorted(r.prediction.score for r in evaluation.results if r.sample.is_normal)
    assert [r.prediction.score for r in examples.lowest] == anomalies[:4]
    assert [r.prediction.score for r in examples.highest] == normals[::-1][:4]
    assert examples.hits[0].prediction.score == anomalies[-1]
    assert all(is_called_defective(r, evaluation.threshold) for r in examples.hits)
    ids = [r.sample.id for r in (*examples.hits, *examples.drawn)]
    assert len(ids) == len(set(ids))
    assert not {r.sample.id for r in examples.drawn} & {r.sample.id for r in examples.lowest}


def test_hits_go_through_the_kinds_in_turn(evaluation: Evaluation) -> None:
    kinds = [r.sample.defect for r in Examples.of(evaluation, 24).hits]
    distinct = len(set(kinds))
    assert len(set(kinds[:distinct])) == distinct > 1


def test_examples_do_not_depend_on_the_order_of_results(evaluation: Evaluation) -> None:
    turned = replace(evaluation, results=evaluation.results[::-1])
    for one, other in zip(vars(Examples.of(evaluation)).values(), vars(Examples.of(turned)).values(), strict=True):
        assert [r.sample.id for r in one] == [r.sample.id for r in other]


def test_a_set_of_normals_has_only_its_highest(evaluation: Evaluation) -> None:
    only = replace(evaluation, results=tuple(r for r in evaluation.results if r.sample.is_normal))
    examples = Examples.of(only)
    assert (examples.hits, examples.drawn, examples.lowest) == ((), (), ())
    assert len(examples.highest) == 6
