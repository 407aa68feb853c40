"""The pages keep their promises: links lead somewhere, examples run, every method has its page, no figure is left blank."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flawsmith.core.hybrids import HYBRIDS
from flawsmith.core.registry import detectors, synthesizers

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_no_blank_is_left(page: Path):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    assert not re.findall(r"\b[A-Z]+_(?:MINUTES|TABLE|PATCHCORE|MEMSEG)\b|TODO|TBD", text)


@pytest.mark.parametrize(("kind", "registry"), [("synthesis", synthesizers), ("detectors", detectors)])
def test_every_method_has_a_page_with_a_picture_and_every_parameter(kind, registry):
    for name, entry in registry.entries.items():
        text = (ROOT / "docs" / kind / f"{name}.md").read_text(encoding="utf-8")
        assert re.search(rf"\.\./images/(synthesis/)?{name}\.png", text)
        for parameter in entry.resolve().model_fields:
            assert f"`{parameter}`" in text or parameter == "preset", (name, parameter)
        assert name in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_hybrid_is_listed_with_its_members():
    text = (ROOT / "docs" / "synthesis" / "mix.md").read_text(encoding="utf-8")
    for name, hybrid in HYBRIDS.items():
        assert f"| `{name}` | {', '.join(member.name for member in hybrid.members)} |" in text


def test_the_example_of_the_readme_runs(tiles: Path, tmp_path: Path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(ast.parse(code).body) == 5
    quick = code.replace('"tiles/"', repr(str(tiles))).replace("seed=0", "seed=0, steps=2")
    script = tmp_path / "example.py"
    script.write_text(f"import warnings; warnings.simplefilter('ignore')\n{quick}")
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    assert 0 <= float(told.splitlines()[0]) <= 1


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda script: script.name)
def test_examples_run_offline(script: Path):
    assert "image AUROC" in subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
