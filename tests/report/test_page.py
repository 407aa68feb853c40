import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flawsmith.core.errors import OutputError
from flawsmith.report.page import (
    Cell,
    Code,
    Column,
    Details,
    Fact,
    Facts,
    Figure,
    Figures,
    Gallery,
    Legend,
    Page,
    Panel,
    Picture,
    Section,
    Table,
    Text,
    Warnings,
    render,
    write_page,
)

EVIL = """<script>alert('x')</script>"><img src=https://evil.example/x onerror=1>&'"""
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(HTMLParser):
    """Tags must close in order; collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker


def everything(text: str) -> Page:
    table = Table.of([text], (Column(text, lambda row: Cell(row, text)), Column("n", str, number=True)), text)
    picture = Picture((Panel("data:image/png;base64,AA==", text, text),), text, text, text, text)
    blocks = (
        Text(text),
        Text(text, "verdict"),
        Warnings((text,)),
        Warnings(()),
        Facts((Fact(text, text, text),)),
        table,
        Table.of_pairs([(text, text)]),
        Gallery((picture,), text, text, Legend(("#000000",), text, text, text)),
        Gallery((picture,), wide=True),
        Gallery(()),
        Figures((Figure("<svg></svg>", text, text),)),
        Code(text),
        Details(text, (Details(text, (Text(text), table)),)),
    )
    return Page(text, text, blocks, (Section(text, blocks), Section(text, blocks)), text)


def test_every_block_escapes_hostile_text() -> None:
    page = parsed(render(everything(EVIL)))
    assert not [a for a in page.attributes if a[0] == "script" or a[1].startswith("on")]
    assert "https://evil.example" in page.text
    for tag, name, value in page.attributes:
        if name in ("src", "href") or tag in ("link", "iframe"):
            assert value is not None
            assert value.startswith(("data:image/", "#"))


def test_page_opens_in_a_parser_with_unique_ids_that_links_reach() -> None:
    html = render(everything("plain"))
    page = parsed(html)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert ids == ["plain", "plain-2"]
    assert [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")] == ["#plain", "#plain-2"]


def test_style_refers_to_nothing_outside() -> None:
    html = render(everything("plain"))
    assert not re.search(r"https?://|//cdn|@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_page_has_styles_for_dark_print_and_phone() -> None:
    html = render(Page("x"))
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert 'name="viewport"' in html


def test_heads_and_cells_come_from_one_column() -> None:
    columns = (Column("name", lambda item: item[0]), Column("value", lambda item: Cell(item[1], "note"), number=True))
    table = Table.of([("a", "1"), ("b", "2")], columns)
    assert table.heads == ("name", "value")
    assert [[cell.text for cell in row] for row in table.rows] == [["a", "1"], ["b", "2"]]
    assert table.numbers == (False, True)
    assert Table.of([("a", "1")], columns[::-1]).rows[0][0].text == "1"


def test_warnings_show_only_when_there_are_some() -> None:
    assert 'class="warnings"' not in render(Page("x", opening=(Warnings(()),)))
    assert 'class="warnings"' in render(Page("x", opening=(Warnings(("beware",)),)))


def test_frames_of_a_gallery_take_the_median_shape_within_bounds() -> None:
    def gallery(*aspects: float) -> Gallery:
        return Gallery(tuple(Picture((), aspect=aspect) for aspect in aspects))

    assert gallery(0.7, 2.0, 1.5).aspect == 1.5
    assert (gallery(9.0).aspect, gallery(0.1).aspect, gallery().aspect) == (2.5, 0.6, 1.0)


def test_equal_pages_are_equal_bytes(tmp_path: Path) -> None:
    first, second = write_page(tmp_path / "a.html", everything("x")), write_page(tmp_path / "b.html", everything("x"))
    assert first.read_bytes() == second.read_bytes()


def test_a_page_over_the_limit_is_refused_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(OutputError, match=r"would have 6\.\d MB; expected at most 6 MB: show fewer pictures"):
        write_page(path, Page("x", opening=(Code("y" * 6_100_000),)))
    assert path.read_text() == "old"


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="move it, or write elsewhere"):
        write_page(tmp_path / "file" / "report.html", Page("x"))
