import pytest

from flawsmith.core.errors import BadParameter, DataError, NoPixelTruth
from flawsmith.data import load
from flawsmith.data.loading import open_folder
from flawsmith.data.problems import collect
from flawsmith.data.splits import make_split

ROWS = [("0.0", "mono")] * 70 + [("0.3333333333333333", "mono"), ("0.6666666666666666", "poly"), ("1.0", "poly")] * 20


def test_labels_products_and_blocks(tmp_path, trees):
    data = load(trees.elpv(tmp_path / "cells", ROWS).write())
    assert data.layout == "elpv"
    assert data.counts() == {("mono", "pool", "good"): 70, ("poly", "pool", "unknown"): 20}
    assert {sample.group for sample in data.samples} == {"block-00", "block-01", "block-02"}
    assert sum(sample.group == "block-00" for sample in data.samples) == 60
    assert not data.has_masks


def test_uncertain_labels(tmp_path, trees):
    root = trees.elpv(tmp_path / "cells", ROWS).write()
    halved = load(root, "elpv:uncertain=binarise")
    assert halved.counts() == {("mono", "pool", "good"): 90, ("poly", "pool", "unknown"): 40}
    assert {sample.weight for sample in halved.samples} == {1.0}
    soft = load(root, "elpv:uncertain=soft")
    assert soft.counts() == halved.counts()
    assert {(s.tags["probability"], round(s.weight, 3)) for s in soft.samples} == {
        ("0.00", 1.0),
        ("0.33", 0.667),
        ("0.67", 0.667),
        ("1.00", 1.0),
    }
    assert soft.notes[0] == (
        "40 images of uncertain label are labelled at 1/2; their certainty is kept as a weight that neither training nor "
        "metrics use yet"
    )
    assert halved.notes[0] == "40 images of uncertain label are labelled at 1/2"
    with pytest.raises(BadParameter, match="uncertain"):
        load(root, "elpv:uncertain=guess")


@pytest.mark.parametrize("home", ["src/elpv_dataset/data", "data", "."])
def test_a_checkout_is_recognised(tmp_path, trees, home):
    trees.elpv(tmp_path / "checkout" / home, ROWS).write()
    assert len(load(tmp_path / "checkout")) == 90


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("images/cell0001.png nan mono", "E_LABEL"),
        ("images/cell0001.png 0.5 mono", "E_LABEL"),
        ("images/cell0001.png 0.0 tandem", "E_LABEL"),
        ("images/cell0001.png 0.0", "E_LABEL"),
        ("images/cell9999.png 0.0 mono", "E_LABEL"),
        ("../cell0001.png 0.0 mono", "E_ROOT"),
        ("images/cell0002.png 0.0 mono", "E_DUPLICATE"),
    ],
)
def test_bad_labels_are_refused(tmp_path, trees, line, code):
    root = trees.elpv(tmp_path / "cells", ROWS[:5]).write()
    labels = (root / "labels.csv").read_text().splitlines()
    (root / "labels.csv").write_text("\n".join([line, *labels[1:]]))
    with pytest.raises(DataError) as caught:
        load(root)
    assert caught.value.code == code
    assert "expected" in str(caught.value)


def test_every_bad_line_is_told(tmp_path, trees):
    root = trees.elpv(tmp_path / "cells", ROWS[:6]).write()
    lines = (root / "labels.csv").read_text().splitlines()
    lines[1], lines[3:5] = "", ["nonsense", "images/cell0005.png 2 mono", lines[0], "../x.png 0.0 mono"]
    (root / "labels.csv").write_text("\n".join(lines))
    problems = {problem.code: problem for problem in collect(open_folder(root).found.problems)}
    labels = root / "labels.csv"
    assert {code: problem.files for code, problem in problems.items()} == {
        "E_LABEL": (f"{labels}:4", f"{labels}:5"),
        "E_DUPLICATE": (f"{labels}:6",),
        "E_ROOT": (f"{labels}:7",),
    }
    assert problems["E_LABEL"].line().startswith(f"{labels}, line 4: 'nonsense' is no label")
    assert problems["E_LABEL"].line().endswith("(and 1 more)")


def test_where_no_line_is_good_the_first_is_told(tmp_path, trees):
    root = trees.elpv(tmp_path / "cells", ROWS[:3]).write()
    (root / "labels.csv").write_text("path;label\n")
    with pytest.raises(DataError, match="line 1: 'path;label' is no label") as caught:
        load(root)
    assert caught.value.code == "E_LABEL"


def test_pixels_asked_of_cells_are_refused(tmp_path, trees):
    data = load(trees.elpv(tmp_path / "cells", ROWS).write())
    with pytest.raises(NoPixelTruth) as caught:
        data.require_masks()
    assert caught.value.code == "E_NO_PIXEL_GT"
    with pytest.raises(NoPixelTruth):
        data.samples[-1].mask()


def test_anomalies_of_training_blocks_are_dropped(tmp_path, trees):
    rows = [("0.0", "mono"), ("1.0", "mono")] * 120
    data = load(trees.elpv(tmp_path / "cells", rows).write())
    split = make_split(data)
    assert split.policy == "elpv-blocks"
    for sample in data.samples:
        if not sample.is_normal:
            assert split.assignment[sample.id] in ("test", "dropped")
    counts = split.counts()
    assert (counts["train"], counts["dropped"], counts["test"]) == (60, 60, 120)


@pytest.mark.elpv
def test_the_real_cells(elpv):
    data = load("elpv", "elpv:uncertain=soft")
    found = {}
    for sample in data.samples:
        key = sample.product, sample.tags["probability"]
        found[key] = found.get(key, 0) + 1
    assert found == {
        ("mono", "0.00"): 588,
        ("mono", "0.33"): 117,
        ("mono", "0.67"): 56,
        ("mono", "1.00"): 313,
        ("poly", "0.00"): 920,
        ("poly", "0.33"): 178,
        ("poly", "0.67"): 50,
        ("poly", "1.00"): 402,
    }
    assert len({sample.group for sample in data.samples}) == 44
    assert data.samples[0].image().shape == (300, 300, 3)
    assert load("elpv").counts() == {
        ("mono", "pool", "good"): 588,
        ("mono", "pool", "unknown"): 313,
        ("poly", "pool", "good"): 920,
        ("poly", "pool", "unknown"): 402,
    }


@pytest.mark.elpv
@pytest.mark.parametrize("seed", range(5))
def test_the_real_blocks_never_mix(elpv, seed):
    data = load("elpv")
    applied = make_split(data, seed=seed).apply(data)
    trained, tested = applied.of(split="train"), applied.of(split="test")
    assert not {sample.group for sample in trained.samples} & {sample.group for sample in tested.samples}
    assert all(sample.is_normal for sample in trained.samples)
    for product in ("mono", "poly"):
        mine = tested.of(product=product).samples
        assert sum(sample.is_normal for sample in mine) >= 60
        assert sum(not sample.is_normal for sample in mine) >= 60
        assert len(trained.of(product=product)) >= 150
