"""The generators of miniature data sets, as fixtures, since tests are no package."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def trees() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flawsmith_test_trees", Path(__file__).with_name("trees.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def miniatures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flawsmith_test_miniatures", Path(__file__).with_name("miniatures.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
