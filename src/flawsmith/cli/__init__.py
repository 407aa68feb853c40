"""The command line: parse, call, show. One file per command group; heavy imports wait until a command runs."""

import sys


def main() -> None:
    """Entry point of the installed program."""
    try:
        from flawsmith.cli.app import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # so early that `run` could not yet answer
        sys.exit("flawsmith: E_INTERRUPTED: interrupted before anything was done: run the command again")
