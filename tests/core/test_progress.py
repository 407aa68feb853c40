import io
import sys

import pytest

from flawsmith.core import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_off_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0)
    assert list(progress.track(range(5), "work")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("delay", "drawn"), [(0.0, True), (100.0, False)])
def test_a_bar_appears_on_a_terminal_after_the_delay(monkeypatch: pytest.MonkeyPatch, delay: float, drawn: bool):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "DELAY_SECONDS", delay)
    assert list(progress.track(range(3), "measuring", total=3)) == [0, 1, 2]
    assert ("measuring" in terminal.getvalue()) == drawn
