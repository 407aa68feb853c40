"""The program `flawsmith`: its commands, and what becomes of errors.

Exit codes: 0 done; 1 the data or the run failed; 2 wrong usage. An error is one line on stderr that says what, where and what to
do; with `--debug` the traceback too, with `--json` also a document on stdout.
"""

from __future__ import annotations

import json
import traceback
import warnings
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from flawsmith.cli import data, demo, evaluate, methods, predict, published, quality, synth, train
from flawsmith.cli.output import help_when_bare
from flawsmith.core.errors import DataError, FlawsmithError

RESUMABLE = ("synth", "train")
"""Commands that keep what they did when they are interrupted."""
INTERRUPTED_BY_TYPER = 130
"""What typer makes of Ctrl-C."""

app = typer.Typer(
    name="flawsmith",
    help="Makes the missing defects, trains an inspector on them, and says with numbers which way of making them works.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.command("methods")(methods.methods)
app.command("synth")(synth.synth)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("quality")(quality.quality)
app.command("published")(published.published)
app.command("demo")(demo.demo)


@app.callback(invoke_without_command=True)
def _bare(context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        from flawsmith import __version__

        typer.echo(f"flawsmith {__version__}")
        raise typer.Exit
    help_when_bare(context)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Warnings are told once it has ended well; an error is told alone."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        code = _run(arguments)
    if code == 0:
        for text in dict.fromkeys(str(warning.message) for warning in caught):
            typer.echo(f"flawsmith: warning: {' '.join(text.split())}", err=True)
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        result = app(list(arguments), prog_name="flawsmith", standalone_mode=False)
    except TyperException as error:
        return _fail(arguments, error, "E_USAGE", _usage(error), exit_code=2)
    except FlawsmithError as error:
        return _fail(arguments, error, error.code, str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail(arguments, error, "E_INTERRUPTED", _interrupted(arguments), 1)
    except BrokenPipeError:
        return 1
    except Exception as error:
        told = f"unexpected {type(error).__name__}: {error}; run it again with --debug and report what it prints"
        return _fail(arguments, error, "E_INTERNAL", told, 1)
    if result == INTERRUPTED_BY_TYPER:
        return _fail(arguments, KeyboardInterrupt(), "E_INTERRUPTED", _interrupted(arguments), 1)
    return result if isinstance(result, int) else 0


def _interrupted(arguments: Sequence[str]) -> str:
    if arguments and (arguments[0] in RESUMABLE or list(arguments[:2]) == ["data", "get"]):
        return "interrupted; run the same command again to go on where it stopped"
    return "interrupted; nothing was written: run the command again"


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "flawsmith"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{message.rstrip('.')}; see `{command} --help`"


def _fail(arguments: Sequence[str], error: BaseException, code: str, message: str, exit_code: int) -> int:
    if "--debug" in arguments:
        traceback.print_exception(error)
    line = " ".join(message.split())
    if "--json" in arguments:
        files = list(error.files) if isinstance(error, DataError) else []
        typer.echo(json.dumps({"error": {"code": code, "message": line, "files": files}}, ensure_ascii=False))
    typer.echo(f"flawsmith: {code}: {line}", err=True)
    return exit_code
