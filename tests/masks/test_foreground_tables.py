import numpy as np
import pytest

from flawsmith.core.errors import UnknownName
from flawsmith.masks.foreground import for_product, foreground_mask, parse_rule
from flawsmith.masks.foreground_tables import TABLES, word_for

MVTEC = """bottle cable capsule carpet grid hazelnut leather metal_nut pill screw tile toothbrush transistor wood zipper"""


def test_tables_cover_their_data_sets():
    assert sorted(TABLES["memseg"]["mvtec"]) == sorted(TABLES["realnet"]["mvtec"]) == MVTEC.split()
    assert len(TABLES["realnet"]["visa"]) == 12
    assert len(TABLES["realnet"]["mpdd"]) == 6
    assert len(TABLES["realnet"]["btad"]) == 3


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_word_can_be_read(table):
    for words in TABLES[table].values():
        for product, word in words.items():
            assert for_product(parse_rule(f"table:{table}"), f"{product}/train/good/0") == parse_rule(word)


@pytest.mark.parametrize(
    ("table", "product", "word"),
    [
        ("memseg", "bottle", "threshold:250"),
        ("memseg", "hazelnut", "threshold:50,bright"),
        ("memseg", "cable", "none"),
        ("realnet", "pill", "otsu:bright"),
        ("realnet", "screw", "otsu:dark"),
        ("realnet", "pcb3", "triangle:bright,blue,c8,o3"),
        ("realnet", "connector", "otsu:dark,green,c6,o0"),
        ("realnet", "01", "otsu:bright,c15,o6"),
        ("realnet", "capsules", "none"),
    ],
)
def test_words_of_products(table, product, word):
    assert word_for(table, product, "", otherwise_auto=False) == word


@pytest.mark.parametrize("dataset", ["mvtec", "MVTec-AD", "mvtec_ad_2", "", "folder", "my parts"])
def test_data_sets_in_any_spelling_and_unknown_ones(dataset):
    assert word_for("realnet", "screw", dataset, otherwise_auto=False) == "otsu:dark"


def test_a_threshold_is_not_lent_to_another_data_set():
    with pytest.raises(UnknownName, match=r"no product of foreground table memseg 'screw'.*table:memseg,auto"):
        word_for("memseg", "screw", "VisA", otherwise_auto=False)
    assert word_for("memseg", "screw", "VisA", otherwise_auto=True) == "auto"


def test_an_unknown_product_is_an_error_or_auto():
    image = np.full((64, 64, 3), 20, np.uint8)
    image[16:48, 16:48] = 200
    with pytest.raises(UnknownName, match=r"no product of foreground table realnet 'nut'"):
        foreground_mask(parse_rule("table:realnet"), image, "nut/train/good/0")
    found = foreground_mask(parse_rule("table:realnet,auto"), image, "nut/train/good/0")
    np.testing.assert_array_equal(found, foreground_mask(parse_rule("auto"), image, "nut/train/good/0"))


def test_a_table_answers_by_product():
    image = np.full((64, 64, 3), 20, np.uint8)
    image[16:48, 16:48] = 200
    rule = parse_rule("table:memseg")
    assert foreground_mask(rule, image, "carpet/train/good/0") is None
    np.testing.assert_array_equal(foreground_mask(rule, image, "hazelnut/train/good/0"), image[:, :, 0] > 50)
    np.testing.assert_array_equal(foreground_mask(rule, image, "zipper/train/good/0"), image[:, :, 0] <= 100)
