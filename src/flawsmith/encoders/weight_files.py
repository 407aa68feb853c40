"""Weight files of the networks that define metrics: what a file holds, and whether it is the reference.

A file is known by the names in it, never by its own; it is the reference if its SHA-256 is that of the published file. Nothing in
it is run: `.pth` files are read with `weights_only=True`, `.safetensors` hold no code.

The digests are those that public repositories pin for the published files: pytorch-fid's and torch-fidelity's
`…inception-2015-12-05-6726825d.pth` (one file under two names), torchvision's `alexnet-owt-7be5be79.pth` and
`vgg16-397923af.pth` (their names hold the first digits); those of `weights/v0.1/{alex,vgg}.pth` were taken from the wheel of
lpips 0.1.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from flawsmith.core.errors import BadParameter, DamagedFile
from flawsmith.core.files import sha256_file
from flawsmith.encoders.efficientnet_lite import read_tensors, refuse_mismatch
from flawsmith.encoders.inception_fid import InceptionFid
from flawsmith.encoders.lpips_trunks import TRUNKS, build_trunk

Role = Literal["inception-v3-fid", "alexnet", "vgg16", "lpips-alexnet", "lpips-vgg16"]

REFERENCES: Mapping[Role, tuple[str, str]] = {
    "inception-v3-fid": (
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ),
    "alexnet": ("alexnet-owt-7be5be79.pth", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"),
    "vgg16": ("vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
    "lpips-alexnet": ("lpips/weights/v0.1/alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    "lpips-vgg16": ("lpips/weights/v0.1/vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
}
"""What a file is for → (its published name, its SHA-256)."""

MOST_BYTES = 1 << 30
COUNTER = ".num_batches_tracked"
HEAD = "lin{}.model.1.weight"
SHOWN = 12


@dataclass(frozen=True, eq=False)
class WeightFile:
    """The weights of one network, or the heads of LPIPS.

    Args:
        role: what they are for.
        path: the file.
        sha256: of its bytes.
        tensors: by name, exactly those that the network has.
    """

    role: Role
    path: Path
    sha256: str
    tensors: Mapping[str, Tensor]

    @property
    def is_reference(self) -> bool:
        """Whether it is the published file."""
        return self.sha256 == REFERENCES[self.role][1]


def read_weights(paths: Sequence[Path]) -> dict[Role, WeightFile]:
    """Read weight files by what they are for.

    Raises:
        DamagedFile: a file is missing, too large, no table of tensors, or belongs to none of the networks.
        BadParameter: two files for one purpose.
    """
    found: dict[Role, WeightFile] = {}
    for path in paths:
        read = read_weight_file(path)
        if read.role in found:
            raise BadParameter(f"{found[read.role].path} and {path} are both for {read.role}; expected one: leave one out")
        found[read.role] = read
    return found


def read_weight_file(path: Path) -> WeightFile:
    """Read one file; errors as in `read_weights`."""
    if not path.is_file():
        raise DamagedFile(f"{path} is no file; expected the weights of one of: {', '.join(REFERENCES)}")
    if path.stat().st_size > MOST_BYTES:
        raise DamagedFile(f"{path} has {path.stat().st_size:,} bytes; expected at most {MOST_BYTES:,}: is it a weight file?")
    table = _tensors(path)
    role = _role(path, table)
    return WeightFile(role, path, sha256_file(path), _fitting(path, role, table))


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path)) if path.suffix == ".safetensors" else read_tensors(path)
    except (DamagedFile, SafetensorError, OSError, ValueError) as error:  # what they say is not for whoever chose the file
        raise DamagedFile(
            f"{path} cannot be read as weights; expected a .pth state dict or .safetensors of one of: {', '.join(REFERENCES)}: "
            f"give the right file"
        ) from error


def _role(path: Path, table: Mapping[str, Tensor]) -> Role:
    if "Mixed_7c.branch_pool.conv.weight" in table:
        return "inception-v3-fid"
    if (second := table.get(HEAD.format(1))) is not None:
        return "lpips-alexnet" if second.numel() == TRUNKS["alexnet"].channels[1] else "lpips-vgg16"
    if (first := table.get("features.0.weight")) is not None:
        return "alexnet" if first.shape[-1] == 11 else "vgg16"
    names = ", ".join(list(table)[:3])
    raise DamagedFile(f"{path} holds {names or 'nothing'}…; expected the weights of one of: {', '.join(get_args(Role))}")


def _fitting(path: Path, role: Role, table: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of the table that the network has; what it must hold beside that is left aside, anything else is refused."""
    expected = expected_shapes(role)
    aside = ("classifier.",) if role in TRUNKS else ()
    kept = {key: value for key, value in table.items() if not key.startswith(aside or ("\0",)) and not key.endswith(COUNTER)}
    refuse_mismatch(path, expected, kept)
    odd = [key for key, value in kept.items() if not value.is_floating_point() or not bool(torch.isfinite(value).all())]
    if odd:
        raise DamagedFile(f"{path} holds {odd[0]}, which is not finite; expected finite weights: copy the file again")
    if role.startswith("lpips-") and (low := [key for key, value in kept.items() if bool((value < 0).any())]):
        raise DamagedFile(f"{path} holds {low[0]} with negative weights; expected the non-negative heads of LPIPS v0.1")
    return {key: value.to(torch.float32) for key, value in kept.items()}


def expected_shapes(role: Role) -> dict[str, tuple[int, ...]]:
    """Names and shapes that a file of this role holds, counters of batches aside."""
    if role.startswith("lpips-"):
        channels = TRUNKS[role.removeprefix("lpips-")].channels
        return {HEAD.format(number): (1, width, 1, 1) for number, width in enumerate(channels)}
    with torch.device("meta"):
        network = build_trunk(role) if role in TRUNKS else InceptionFid()
    return {key: tuple(value.shape) for key, value in network.state_dict().items() if not key.endswith(COUNTER)}
