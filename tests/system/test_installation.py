"""The core installation suffices: nothing is imported that `pyproject.toml` does not ask for, and the banned stay out."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = {re.split(r"[<>=\[ ]", need)[0].lower().replace("_", "-") for need in PROJECT["dependencies"]}


def imported(source: Path) -> set[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"flawsmith"}


def test_the_core_imports_only_what_it_asks_for():
    homes = packages_distributions()
    for source in SOURCES:
        for name in imported(source):
            assert {home.lower() for home in homes[name]} & CORE, f"{source} imports {name}, which is no dependency"


def test_the_banned_stay_out():
    for source in SOURCES:
        assert not imported(source) & {"torchvision", "timm", "imgaug"}, source
        text = source.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (pickle|dill|joblib)\b|weights_only=False", text, re.MULTILINE), source


@pytest.mark.parametrize("module", [".".join(source.with_suffix("").relative_to(ROOT / "src").parts) for source in SOURCES])
def test_no_file_is_too_long(module: str):
    lines = (ROOT / "src" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 500


def test_importing_draws_nothing_and_loads_no_torch():
    code = "import sys, flawsmith.core.registry, flawsmith.cli.app; print([name in sys.modules for name in ('torch', 'cv2')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[False, False]"


def test_the_public_surface():
    import flawsmith

    assert sorted(flawsmith.__all__) == ["__version__", "evaluate", "load", "load_folder", "metrics", "synthesize", "train"]
    for name in flawsmith.__all__:
        assert getattr(flawsmith, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        flawsmith.nothing  # noqa: B018
