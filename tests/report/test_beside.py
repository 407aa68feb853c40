"""Published rows beside an evaluation: which, and what is said of the differences."""

from dataclasses import replace

import pytest

from flawsmith.data.layouts import LAYOUTS
from flawsmith.inspection.evaluation import Evaluation
from flawsmith.inspection.protocols import FAMILIES, released
from flawsmith.metrics import MetricValue, ProtocolRecord
from flawsmith.report.beside import (
    MOST_ROWS,
    dataset_of,
    differences_of,
    evaluation_table,
    family_of,
    published_rows,
    published_sections,
)
from flawsmith.report.page import Table, Text
from flawsmith.report.published import published_values


@pytest.fixture
def on_mtd(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, detector="patchcore", layout="mtd", dataset="mtd", product="magnetic_tile")


def memseg_on_mtd(evaluation: Evaluation, **recipe: object) -> Evaluation:
    synth = [{"method": {"name": "memseg"}, "weight": 1.0}]
    return replace(evaluation, detector="memseg", layout="mtd", product="magnetic_tile", recipe={"synth": synth, **recipe})


def table_of(evaluation: Evaluation) -> Table:
    (section,) = published_sections(evaluation)
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    return table


def test_a_folder_of_your_own_has_no_published_values_whatever_its_name(evaluation: Evaluation) -> None:
    assert published_sections(replace(evaluation, layout="folder:normals=good", dataset="mtd")) == ()
    assert dataset_of(replace(evaluation, layout="visa:protocol=1cls")) == "VisA"
    assert dataset_of(replace(evaluation, layout="mvtec3d")) == "MVTec 3D-AD"


NAMED = {
    "mvtec": "MVTec AD",
    "mvtec-fs": "MVTec-FS",
    "mvtec-folders": "MVTec AD",
    "loco": "MVTec LOCO",
    "mvtec3d": "MVTec 3D-AD",
    "visa": "VisA",
    "btad": "BTAD",
    "mpdd": "MPDD",
    "wfdd": "WFDD",
    "wfdd-uniadc": "WFDD",
    "mtd": "MTD",
}
"""Layout → what the papers call the data set; of the others no paper has a result."""


def test_every_layout_has_the_data_set_that_the_papers_measure_or_none(evaluation: Evaluation) -> None:
    for layout in LAYOUTS:
        for spelled in (layout, f"{layout}:scale=divide:65535"):
            assert dataset_of(replace(evaluation, layout=spelled)) == NAMED.get(layout, ""), spelled


def test_of_the_authors_distribution_of_mvtec_fs_nothing_is_published(evaluation: Evaluation) -> None:
    mine = replace(evaluation, detector="patchcore", layout="mvtec-fs")
    assert {row.note.split(",")[0] for row in published_rows(mine, dataset_of(mine))} == {"UniADC"}
    assert published_sections(replace(mine, dataset="mvtec-fs-original")) == ()


def classifying(evaluation: Evaluation, layout: str) -> Evaluation:
    named = {"cls_acc": MetricValue(0.5, None, ProtocolRecord("cls_acc"))}
    return replace(evaluation, detector="patchcore+zipaf", layout=layout, metrics={**evaluation.metrics, **named})


def test_classes_named_after_folders_stand_beside_no_published_classification(evaluation: Evaluation) -> None:
    theirs, own = (published_rows(classifying(evaluation, layout), "WFDD") for layout in ("wfdd-uniadc", "wfdd"))
    assert all("cls_acc" in row.values for row in theirs)
    assert len(own) == len(theirs)
    assert not any("cls_acc" in row.values for row in own)
    assert all("measured on its repack of WFDD (layout wfdd-uniadc), not on this form of the data" in row.remarks for row in own)
    assert not any("repack" in text for row in theirs for text in row.remarks)


def test_the_rows_are_those_of_our_detector(on_mtd: Evaluation) -> None:
    rows = published_rows(on_mtd, "MTD")
    assert {row.name for row in rows} == {"PatchCore"}
    assert [row.note for row in rows] == [f"UniADC, table 1; zero-shot; k normal={k}; k anomaly=0" for k in (1, 2, 4)]
    table = table_of(on_mtd)
    assert [cell.text for cell in table.rows[-1]] == ["PatchCore", "0.714", "0.753", "–"]
    assert table.rows[-1][-1].note == "kept out: which variant of AUPRO it is is not known, ours is mvtec"
    assert all(cell.grey for row in table.rows[1:] for cell in row)
    assert not any(cell.grey for cell in table.rows[0])


def test_what_differs_is_said_of_mtd(on_mtd: Evaluation) -> None:
    notes = table_of(on_mtd).notes
    assert "near-copies of training images may be tested on" in notes[0]
    assert "evaluated by cnulab/UniADC: at 512 pixels, mask rule nearest, image score top100" in notes[1]
    assert notes[1].endswith("ours at native size, protocol honest")


def test_rows_of_our_only_synthesizer_are_there_too_and_the_whole_curve_is_kept_out(evaluation: Evaluation) -> None:
    mine = memseg_on_mtd(evaluation)
    rows = {(row.name, row.note.split(";")[0]) for row in published_rows(mine, "MTD")}
    assert {
        ("DestSeg, defects by MemSeg", "ASBench, table IV"),
        ("MemSeg", "ASBench, table VI"),
        ("MemSeg, defects by DFMGAN", "ASBench, table IV"),
    } <= rows
    table = table_of(mine)
    row = next(row for row in table.rows if row[0].note.startswith("ASBench, table VI"))
    aupro = row[[head.startswith("AUPRO") for head in table.heads].index(True)]
    assert aupro.text == "–"
    assert "kept out: it is integrated up to a false-positive rate of 1" in aupro.note
    assert any("902 good images to train on, 50 good and 392 defective ones" in note for note in table.notes)
    assert any("chosen on the test set" in note for note in table.notes)


def test_a_mix_has_no_row_of_a_synthesizer(evaluation: Evaluation) -> None:
    two = [{"method": {"name": name}, "weight": 1.0} for name in ("memseg", "draem")]
    rows = published_rows(memseg_on_mtd(evaluation, synth=two), "MTD")
    assert not any("DestSeg" in row.note for row in rows)


def test_an_average_over_categories_says_that_ours_is_one(evaluation: Evaluation) -> None:
    mine = replace(evaluation, detector="patchcore", layout="mvtec", product="bottle")
    value = published_values(source="TGVIG-supp", table="5", method="Patchcore")[0]
    assert differences_of(value, mine, "MVTec AD")[0] == "a mean over the 15 categories of MVTec AD; ours is of bottle alone"
    section = published_sections(mine)[0]
    table = table_of(mine)
    assert len(table.rows) <= MOST_ROWS + 1
    told = section.blocks[-1]
    assert isinstance(told, Text)
    assert "flawsmith published --dataset 'MVTec AD'" in told.text


def test_the_same_released_evaluation_is_no_difference(evaluation: Evaluation) -> None:
    details = released(FAMILIES["memseg"]).details
    metrics = {
        name: replace(value, record=replace(value.record, details=details, protocol="as_released"))
        for name, value in evaluation.metrics.items()
    }
    value = published_values(source="ASBench", table="VI", dataset="mtd", method="memseg")[0]
    assert family_of(value) == FAMILIES["memseg"]
    as_released = replace(memseg_on_mtd(evaluation), metrics=metrics, protocol="as_released")
    assert not any("evaluated by" in text for text in differences_of(value, as_released, "MTD"))
    assert any("evaluated by TooTouch/MemSeg" in text for text in differences_of(value, memseg_on_mtd(evaluation), "MTD"))


def test_a_detector_that_no_paper_has_says_so(evaluation: Evaluation) -> None:
    (section,) = published_sections(replace(evaluation, layout="mtd", detector="contrast", recipe={}))
    (text,) = section.blocks
    assert isinstance(text, Text)
    assert text.text == "No paper that we know prints contrast on MTD. Other methods: flawsmith published --dataset MTD"


def test_the_table_of_an_evaluation_has_every_metric(on_mtd: Evaluation) -> None:
    assert len(evaluation_table(on_mtd).heads) == 1 + len(on_mtd.metrics)
    assert len(evaluation_table(on_mtd, narrow=True).heads) == 4
