"""What every test stands on: one thread, no network, and the real photographs where they are."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import importlib.util  # noqa: E402
import socket  # noqa: E402
from pathlib import Path  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        assert self.family == socket.AF_UNIX, f"a test tried to reach the network: {address}"
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def mtd() -> Path:
    """The official folder of the magnetic tiles."""
    folder = os.environ.get("FLAWSMITH_MTD")
    if not folder or not Path(folder).is_dir():
        pytest.skip("the magnetic-tile photographs are not here: set FLAWSMITH_MTD to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def elpv() -> None:
    """The package with the photographs of solar cells."""
    if importlib.util.find_spec("elpv_dataset") is None:
        pytest.skip("the solar-cell photographs are not here: pip install elpv-dataset")
