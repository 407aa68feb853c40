"""The generator of miniature data sets, as a fixture, since tests are no package."""

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
