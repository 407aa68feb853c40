"""The generators of miniature data sets, as fixtures, since tests are no package."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"flawsmith_test_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def trees() -> ModuleType:
    return _beside("trees")


@pytest.fixture(scope="session")
def miniatures() -> ModuleType:
    return _beside("miniatures")
