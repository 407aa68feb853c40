"""The demonstration on every ninth solar cell: the whole path from photographs to the page."""

import dataclasses
import re
from pathlib import Path

import pytest

from flawsmith.core.errors import DataError, OutputError
from flawsmith.data import load
from flawsmith.inspection.inspector import Inspector
from flawsmith.report import demo


@pytest.fixture
def few_cells(elpv: None, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load("elpv", product="mono")
    few = dataclasses.replace(whole, samples=whole.samples[::9])
    monkeypatch.setattr(demo, "load", lambda *arguments, **options: few)


@pytest.mark.elpv
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:memseg stores")
def test_the_demo_ends_in_a_page(few_cells: None, tmp_path: Path):
    result = demo.run_demo(tmp_path / "demo", normals=20, steps=2)
    page = result.report.read_text()
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    assert heads[:2] == ["What it reaches", "Synthetic defects"]
    assert [row["split"] for row in result.rows] == ["elpv-blocks", "elpv-blocks", "random"]
    assert all(0 <= row["image_auroc"] <= 1 for row in result.rows)
    assert "both sides of this random split" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    inspectors = sorted((tmp_path / "demo" / "inspectors").iterdir())
    assert len(inspectors) == 3
    assert {Inspector.load(folder).origin.product for folder in inspectors} == {"mono"}


@pytest.mark.elpv
def test_a_demo_that_fails_leaves_nothing(few_cells: None, tmp_path: Path):
    with pytest.raises(DataError, match="2000 training normals"):
        demo.run_demo(tmp_path / "demo", normals=2000)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_folder_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        demo.run_demo(tmp_path)


def test_without_the_package_the_install_line_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'flawsmith\[demo\]'"):
        demo.run_demo(tmp_path / "demo")
