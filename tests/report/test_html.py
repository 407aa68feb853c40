import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flawsmith.core.errors import BadParameter
from flawsmith.core.requests import Anomaly, Provenance
from flawsmith.core.samples import ArraySource, Region, Sample
from flawsmith.core.seeding import Seed
from flawsmith.inspection.evaluation import Evaluation, ImageResult
from flawsmith.report.html import (
    comparison_section,
    evaluation_section,
    promise_of,
    recipe_text,
    synthetic_section,
    warnings_of,
    write_demo_report,
    write_report,
)
from flawsmith.report.outcomes import Confusion
from flawsmith.testing.toy import toy_defect, toy_texture


def written(path: Path, evaluation: Evaluation) -> str:
    return write_report(path / "report.html", evaluation).read_text()


def heading_order(html: str, *texts: str) -> list[int]:
    return [unescape(html).index(text) for text in texts]


def assert_self_contained(html: str) -> None:
    for attribute, value in re.findall(r'\b(src|href|action|data|poster|srcset)="([^"]*)"', html):
        assert value.startswith(("data:image/", "#")), (attribute, value[:80])
    assert not re.search(r"@import|url\((?!#)|<script|<iframe|<link", html)


def test_report_says_the_verdict_first_then_warnings_then_everything_else(tmp_path: Path, evaluation: Evaluation) -> None:
    html = written(tmp_path, evaluation)
    places = heading_order(
        html,
        Confusion.of(evaluation.results, evaluation.threshold).sentence(),
        "95% quantile of held-out normals (n = 40)",
        "two test images look like training images",
        "Defective parts found",
        "What it sees",
        "Surest finds",
        "Worst mistakes",
        "Defective parts with the lowest scores",
        "Good parts with the highest scores",
        "Scores and curves",
        "ROC of images",
        "Precision and recall",
        "Per-region overlap",
        "By kind of defect",
        "How it was measured",
        "mann-whitney",
        "8-connected, up to FPR 0.3",
        "How it was made",
        "flawsmith evaluate models/toy toy/ --report report.html",
        "sigma: 4",
        "2.6",
        "CC0. Toy texture",
    )
    body = html.index("<body>")
    assert places[0] > body
    assert places[:4] == sorted(places[:4])
    sections = re.findall(r"<h2>(.*?)</h2>", html)
    assert sections == [
        "What it sees",
        "Worst mistakes",
        "Scores and curves",
        "By kind of defect",
        "How it was measured",
        "How it was made",
    ]


def test_report_opens_offline(tmp_path: Path, evaluation: Evaluation) -> None:
    html = written(tmp_path, evaluation)
    assert_self_contained(html)
    assert not re.search(r"https?://", html)


def test_equal_evaluations_give_equal_bytes(tmp_path: Path, cases: Any) -> None:
    first = write_report(tmp_path / "a.html", cases.evaluation_of(cases.samples(6, 6)))
    second = write_report(tmp_path / "b.html", cases.evaluation_of(cases.samples(6, 6)))
    assert first.read_bytes() == second.read_bytes()


def test_pictures_stand_side_by_side(tmp_path: Path, evaluation: Evaluation) -> None:
    html = written(tmp_path, evaluation)
    first = html[html.index('<figure class="picture">') :]
    first = first[: first.index("</figure>")]
    assert re.findall(r"<span>(.*?)</span>", first) == ["image", "truth", "anomaly map"]
    assert first.count("data:image/jpeg;base64,") == 3


def test_every_kind_of_outcome_has_its_word(tmp_path: Path, evaluation: Evaluation) -> None:
    html = written(tmp_path, evaluation)
    counts = Confusion.of(evaluation.results, evaluation.threshold)
    assert min(counts.found, counts.missed, counts.alarms, counts.passed) > 0
    for word in ("found", "missed", "false alarm"):
        assert f">{word}</b>" in html
    assert f"All {counts.missed + counts.alarms} wrong calls" in html


def test_metrics_have_three_decimals_and_intervals(tmp_path: Path, evaluation: Evaluation) -> None:
    value = evaluation.metrics["image_auroc"]
    html = written(tmp_path, evaluation)
    assert value.interval is not None
    assert f"<dd>{value.value:.3f}</dd>" in html
    assert f"95% interval {value.interval.low:.3f}–{value.interval.high:.3f}" in html


def test_without_masks_the_report_says_so_and_shows_no_truth(tmp_path: Path, cases: Any) -> None:
    html = written(tmp_path, cases.evaluation_of(cases.without_masks(cases.samples(8, 8))))
    assert "<span>truth</span>" not in html
    assert "These data have no masks" in html
    assert "no masks</small>" in html
    assert "Per-region overlap" not in html
    assert "ROC of images" in html
    assert "nan" not in re.sub(r'"data:[^"]*"', "", html).lower().replace("finan", "")


def test_a_test_set_of_normals_alone(tmp_path: Path, cases: Any) -> None:
    html = written(tmp_path, cases.evaluation_of(cases.samples(9, 0)))
    assert "the test set holds no defective part" in html
    assert "no defect in the test set" in html
    assert "Curves need both good and defective parts" in html
    assert "By kind of defect" not in html


def test_a_test_set_of_defects_alone(tmp_path: Path, cases: Any) -> None:
    html = written(tmp_path, cases.evaluation_of(cases.samples(0, 8)))
    assert "false alarms are unknown" in html
    assert "no good part in the test set" in html
    assert "Good parts with the highest scores" not in html
    assert "Per-region overlap" in html


def test_one_image_is_enough(tmp_path: Path, cases: Any) -> None:
    assert "Calls" in written(tmp_path, cases.evaluation_of(cases.samples(1, 0)))


def test_a_perfect_inspector_shows_what_came_nearest(tmp_path: Path, evaluation: Evaluation) -> None:
    def judged(result: ImageResult) -> ImageResult:
        verdict = "good" if result.sample.is_normal else "defect"
        return ImageResult(result.sample, replace(result.prediction, verdict=verdict))

    html = written(tmp_path, replace(evaluation, results=tuple(map(judged, evaluation.results))))
    assert "All on the right side of the threshold" in html
    assert "wrong calls" not in html


def test_hostile_names_stay_names(tmp_path: Path, cases: Any) -> None:
    evil = "<script>alert(1)</script>\"'&$x^2$"
    samples = []
    for sample in cases.samples(4, 6):
        defect = sample.defect if sample.is_normal else evil
        regions = tuple(Region(defect, region.mask) for region in sample.source.regions())
        samples.append(
            replace(sample, id=f"{evil}/{sample.id}", product=evil, defect=defect, source=ArraySource(sample.image(), regions))
        )
    texts = dict.fromkeys(("name", "detector", "dataset", "product", "protocol", "threshold_source", "command", "licence"), evil)
    hostile = cases.evaluation_of(
        samples,
        **texts,
        warnings=(evil,),
        recipe={evil: evil},
        split={"policy": evil, "flags": [evil], evil: [evil]},
        environment={evil: evil},
    )
    html = written(tmp_path, hostile)
    assert "<script" not in html
    assert_self_contained(html)
    assert "&lt;script&gt;" in html


def test_large_photographs_keep_the_report_small(tmp_path: Path, cases: Any) -> None:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(40):
        image = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
        mask = np.zeros((480, 640), bool)
        mask[100:200, 100:300] = i % 2 == 1
        regions = (Region("dent", mask),) if i % 2 else ()
        samples.append(Sample(f"p/test/{i}", "p", "dent" if i % 2 else "good", "test", str(i), ArraySource(image, regions)))
    path = write_report(tmp_path / "report.html", cases.evaluation_of(samples))
    assert path.stat().st_size < 6_000_000


def test_flags_of_the_split_are_warnings_once(evaluation: Evaluation) -> None:
    flagged = replace(evaluation, split={"flags": ["leaks near-duplicates"]}, warnings=("a", "a"))
    assert warnings_of(flagged) == ("a", "The split leaks near-duplicates.")
    assert promise_of(flagged).endswith("But the split leaks.")
    third = replace(evaluation, split={"flags": ["leaves some out"]}, warnings=("the split leaves some out", "b"))
    assert warnings_of(third) == ("b", "The split leaves some out.")
    assert promise_of(third) == promise_of(replace(evaluation, split={}))


def test_recipe_is_readable_and_whole(evaluation: Evaluation) -> None:
    assert (
        recipe_text(evaluation.recipe) == "detector:\n  name: contrast\n  params:\n    sigma: 4\nsynth: []\nratio: 0.5\nseed: 0"
    )


def anomaly(i: int) -> Anomaly:
    image, mask = toy_defect(Seed(i), 64, "spot")
    provenance = Provenance("draem", {}, "0", Seed(i).to_json(), None)
    return Anomaly(
        image, mask, "spot", toy_texture(Seed(i), 64) if i % 2 else None, "normal" if i % 2 else "none", None, provenance
    )


def test_a_page_of_several_evaluations_and_galleries(tmp_path: Path, evaluation: Evaluation) -> None:
    other = replace(evaluation, name="another", detector="another")
    path = write_demo_report(
        tmp_path / "demo.html",
        [
            comparison_section("Which one", [evaluation, other], "Both saw the same parts."),
            synthetic_section("Made defects", {"draem": [anomaly(0), anomaly(1)]}, "Nobody photographed these."),
            evaluation_section("First", evaluation, prefix="a-"),
            evaluation_section("Second", other, prefix="b-"),
        ],
        title="Demo",
        subtitle="toy",
    )
    html = path.read_text()
    assert_self_contained(html)
    assert re.findall(r"<h2>(.*?)</h2>", html) == ["Which one", "Made defects", "First", "Second"]
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert html.count("2 synthetic anomalies") == 1
    assert path.stat().st_size < 6_000_000


def test_a_page_refuses_to_compare_different_protocols(evaluation: Evaluation) -> None:
    value = evaluation.metrics["image_ap"]
    other = replace(evaluation, metrics={"image_ap": replace(value, record=replace(value.record, image_score="top100"))})
    with pytest.raises(BadParameter, match="image_score"):
        comparison_section("x", [evaluation, other])


def test_a_flagged_split_takes_the_promise_back(tmp_path: Path, evaluation: Evaluation) -> None:
    promise = "Nothing of the test set touched training"
    opening = written(tmp_path, evaluation).split("<nav")[0]
    assert promise in opening
    flagged = written(tmp_path, replace(evaluation, split={"flags": ["leaks near-duplicates"]})).split("<nav")[0]
    assert promise not in flagged
    assert "The split leaks near-duplicates." in flagged


def test_a_find_for_the_wrong_reason_says_so(tmp_path: Path, evaluation: Evaluation) -> None:
    def astray(result: ImageResult) -> ImageResult:
        if result.sample.is_normal:
            return result
        mask = result.sample.mask()
        away = np.zeros(mask.shape, np.float32)
        away[(0 if mask[32:].any() else -1), (0 if mask[:, 32:].any() else -1)] = 1
        return ImageResult(result.sample, replace(result.prediction, map=away, verdict="defect"))

    html = written(tmp_path, replace(evaluation, results=tuple(map(astray, evaluation.results))))
    assert "strongest response outside the marked defect" in html
