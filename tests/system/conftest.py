"""What tests of whole commands share."""

import json

import pytest

from flawsmith.cli.app import run


@pytest.fixture
def tell(capsys):
    """tell(*arguments): what a command prints as JSON, or its line on stderr where it must fail."""

    def call(*arguments, code=0):
        assert run([*map(str, arguments), "--json"]) == code
        told = capsys.readouterr()
        return json.loads(told.out) if code == 0 else told.err

    return call
