"""A trained detector on disk: `detector.json` says what it is, `model.safetensors` holds its tensors. No pickle.

Both are written aside and renamed; the JSON carries the digest of the tensors, so that a mixed or changed pair is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from flawsmith.core.errors import DamagedFile
from flawsmith.core.files import read_json, sha256_bytes, write_bytes, write_json

FORMAT = 1
DESCRIPTION, TENSORS = "detector.json", "model.safetensors"


@dataclass(frozen=True, eq=False)
class StoredDetector:
    """What a folder holds.

    Args:
        name: registry name.
        params: every parameter.
        state: what else was learned, JSON values.
        tensors: by name.
    """

    name: str
    params: Mapping[str, Any]
    state: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def write_detector(folder: Path, stored: StoredDetector) -> None:
    """Write both files into `folder`, which is made if it is not there.

    Raises:
        OutputError: no space, no permission, or a file where the folder should be.
    """
    data = safetensors.torch.save({key: value.detach().contiguous().clone() for key, value in stored.tensors.items()})
    write_bytes(folder / TENSORS, data)
    write_json(
        folder / DESCRIPTION,
        {
            "format": FORMAT,
            "name": stored.name,
            "params": dict(stored.params),
            "state": dict(stored.state),
            "tensors_sha256": sha256_bytes(data),
        },
    )


def read_detector(folder: Path, name: str) -> StoredDetector:
    """Read what `write_detector` wrote of the detector `name`.

    Raises:
        DamagedFile: a file is missing, was changed, has another format, or holds another detector.
    """
    told = read_json(folder / DESCRIPTION)
    wanted = {"format", "name", "params", "state", "tensors_sha256"}
    if not isinstance(told, dict) or not wanted <= told.keys():
        raise DamagedFile(f"{folder / DESCRIPTION} lacks a field of {sorted(wanted)}; expected a saved detector: train it again")
    if told["format"] != FORMAT:
        raise DamagedFile(
            f"{folder / DESCRIPTION} has format {told['format']}; expected {FORMAT}: use another flawsmith or train again"
        )
    if told["name"] != name:
        raise DamagedFile(f"{folder} holds the detector {told['name']!r}; expected {name!r}: load it by its own name")
    return StoredDetector(name, told["params"], told["state"], _read_tensors(folder / TENSORS, told["tensors_sha256"]))


def _read_tensors(path: Path, digest: str) -> dict[str, Tensor]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamagedFile(
            f"{path} cannot be read ({error.strerror}); expected the tensors of a saved detector: train again"
        ) from error
    if sha256_bytes(data) != digest:
        raise DamagedFile(f"{path} was changed since it was written; expected SHA-256 {digest[:12]}…: restore it or train again")
    try:
        # cloned: views into the file's bytes are aligned otherwise, and products of unaligned rows round otherwise
        return {key: value.clone() for key, value in safetensors.torch.load(data).items()}
    except (SafetensorError, ValueError) as error:
        raise DamagedFile(f"{path} holds no tensors ({error}); expected the tensors of a saved detector: train again") from error
