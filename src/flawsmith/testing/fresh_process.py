"""The same method asked again in a new Python: other hash seed, no GPU."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def ask_fresh_process(kind: type[Any], answer: str, order: Mapping[str, Any], **environment: str) -> list[str]:
    """Run `answer`, written `module:function`, in a new Python on an order that names the class `kind`.

    Args:
        kind: the method's class; the other side finds it with `class_of`.
        answer: reads the order as JSON from stdin and writes a list of texts as JSON to stdout.
        order: more of the order, JSON-able.
        environment: variables for the new process.
    """
    module, _, function = answer.partition(":")
    whole = {"module": kind.__module__, "file": inspect.getsourcefile(kind), "class": kind.__qualname__, **order}
    child = subprocess.run(
        [sys.executable, "-c", f"from {module} import {function}; {function}()"],
        input=json.dumps(whole),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "77", "CUDA_VISIBLE_DEVICES": "", **environment},
        check=False,
    )
    assert child.returncode == 0, f"a fresh process fails: {child.stderr.strip()[-500:]}"
    return list(json.loads(child.stdout))


def class_of(order: Mapping[str, Any]) -> Any:
    """The class that an order names, from its module or, where that cannot be imported, from its file."""
    try:
        module = importlib.import_module(order["module"])
    except ImportError:
        spec = importlib.util.spec_from_file_location(order["module"], order["file"])
        if spec is None or spec.loader is None:
            raise
        module = importlib.util.module_from_spec(spec)
        sys.modules[order["module"]] = module
        spec.loader.exec_module(module)
    return getattr(module, order["class"])
