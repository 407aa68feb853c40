"""A training's whole state in one safetensors file: tensors as tensors, the rest as JSON in its metadata. No pickle.

Written aside and renamed, so that a killed run finds the last whole one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from flawsmith.core.errors import DamagedFile
from flawsmith.core.files import write_bytes

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a training stands.

    Args:
        step: steps done, over all stages.
        fingerprint: of the recipe and data; another fingerprint is another training.
        network: the state dictionary of what is trained.
        optimiser: `state_dict()` of the stage's optimiser.
        notes: JSON-able extras (tally, elapsed seconds).
    """

    step: int
    fingerprint: str
    network: dict[str, Tensor]
    optimiser: dict[str, Any]
    notes: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`."""
    tensors = {f"network/{key}": value for key, value in checkpoint.network.items()}
    plain: dict[str, dict[str, Any]] = {}
    for number, state in checkpoint.optimiser["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser/{number}/{key}"] = value
            else:
                plain.setdefault(str(number), {})[key] = value
    told = {
        "format": FORMAT,
        "step": checkpoint.step,
        "fingerprint": checkpoint.fingerprint,
        "groups": checkpoint.optimiser["param_groups"],
        "plain": plain,
        "notes": checkpoint.notes,
    }
    copies = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    write_bytes(path, save(copies, metadata={"flawsmith": json.dumps(told)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        DamagedFile: no such file, not whole, or of another format.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            told = json.loads((stream.metadata() or {})["flawsmith"])
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118 (no mapping)
        version, step, fingerprint = told["format"], int(told["step"]), str(told["fingerprint"])
        groups, plain, notes = told["groups"], told["plain"], told["notes"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DamagedFile(
            f"{path} is no checkpoint ({error}); expected one written by flawsmith: delete it to start over"
        ) from error
    if version != FORMAT:
        raise DamagedFile(f"{path} has format {version}; expected {FORMAT}: delete it to start over")
    return Checkpoint(
        step,
        fingerprint,
        {key.removeprefix("network/"): value for key, value in tensors.items() if key.startswith("network/")},
        {"state": _optimiser_state(tensors, plain), "param_groups": groups},
        notes,
    )


def _optimiser_state(tensors: dict[str, Tensor], plain: dict[str, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {int(number): dict(values) for number, values in plain.items()}
    for key, value in tensors.items():
        if key.startswith("optimiser/"):
            _, number, name = key.split("/", 2)
            state.setdefault(int(number), {})[name] = value
    return state


def same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two state dictionaries are equal bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())
