"""What a command prints: plain lines for people, or one JSON document."""

import json
from typing import Any

import typer


def show(lines: str, document: Any, as_json: bool) -> None:
    """Print `lines`, or with `as_json` the `document` alone."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) if as_json else lines)
