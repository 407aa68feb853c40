"""What a command prints: plain lines for people, or one JSON document."""

import json
import shlex
import sys
from typing import Any

import typer


def show(lines: str, document: Any, as_json: bool) -> None:
    """Print `lines`, or with `as_json` the `document` alone."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) if as_json else lines)


def help_when_bare(context: typer.Context) -> None:
    """Print the help of a group that was called without a command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def typed_command() -> str:
    """The command line as the user typed it, for records."""
    return shlex.join(["flawsmith", *sys.argv[1:]])
