import pytest
import torch

from flawsmith.core.errors import BadParameter
from flawsmith.learning.threads import use_threads


def test_threads_are_set_and_restored():
    before = torch.get_num_threads()
    with use_threads(2) as threads:
        assert threads == torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_the_environment_decides_where_nobody_else_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLAWSMITH_THREADS", "1")
    with use_threads() as threads:
        assert threads == 1


@pytest.mark.parametrize("text", ["zero", "-1", "0", "²"])
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("FLAWSMITH_THREADS", text)
    with pytest.raises(BadParameter, match="expected"), use_threads():
        pass
