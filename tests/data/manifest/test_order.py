"""The order of columns is that of names, whatever the names."""

from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.data.manifest.order import natural_text, natural_texts
from flawsmith.data.tree import natural_key

names = st.text(st.sampled_from("0019a/_. ä漢٣") | st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(names, max_size=8))
def test_plain_order_is_the_natural_one(texts):
    assert sorted(texts, key=natural_text) == sorted(texts, key=natural_key)
    assert natural_texts(texts) == [natural_text(text) for text in texts]


def test_numbers_count():
    assert sorted(["10", "9", "a10", "a9", "a09", "a", "1/2", "1/10"], key=natural_text) == [
        "1/2",
        "1/10",
        "9",
        "10",
        "a",
        "a09",
        "a9",
        "a10",
    ]
