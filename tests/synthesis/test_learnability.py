"""A small network learns each method's anomalies from its masks, which it cannot where pictures and masks are out of step."""

import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from flawsmith.core.methods import MethodRecipe
from flawsmith.core.registry import build_synthesizer, synthesizers
from flawsmith.core.requests import Request
from flawsmith.core.samples import SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.metrics.ranking import average_precision
from flawsmith.testing.toy import toy_anomalies, toy_normals

SIDE, STEPS, BATCH = 64, 100, 8
TRAIN, HELD_OUT = 192, 48
LEAST = 3
"""Times the share of anomalous pixels that the pixel AP must exceed."""

MEMBERS = [{"method": {"name": "draem"}}, {"method": {"name": "cutpaste"}}]
PARAMETERS = {"mix": {"members": MEMBERS}}
MADE_BEFORE = {"precomputed"}
"""Their anomalies are those of the method that made the folder."""


class SmallNet(nn.Module):
    """A U-Net of three levels."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([block(3, 8), block(8, 16), block(16, 32)])
        self.up = nn.ModuleList([block(32 + 16, 16), block(16 + 8, 8)])
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        first = self.down[0](x)
        second = self.down[1](functional.max_pool2d(first, 2))
        third = self.down[2](functional.max_pool2d(second, 2))
        x = self.up[0](torch.cat([functional.interpolate(third, scale_factor=2.0), second], 1))
        x = self.up[1](torch.cat([functional.interpolate(x, scale_factor=2.0), first], 1))
        return self.head(x)[:, 0]


def block(inward, outward):
    return nn.Sequential(nn.Conv2d(inward, outward, 3, padding=1), nn.GroupNorm(4, outward), nn.ReLU())


@functools.cache
def normals(part):
    return tuple(toy_normals(24, Seed(1, (part,)), SIDE))


def anomalies(name, part, count):
    """Pictures N×3×H×W in -1…1 and masks N×H×W of a method; the held-out ones start from other normals."""
    method = build_synthesizer(MethodRecipe(name=name, params=PARAMETERS.get(name, {})))
    method.fit(SupportSet(normals(part), tuple(toy_anomalies(8, Seed(2, (part,)), SIDE)), product="toy"))
    requests = [Request(normals(part)[i % 24], Seed(3, (part, i))) for i in range(count)]
    made = method.synthesize(requests)
    images = np.stack([anomaly.image for anomaly in made]).transpose(0, 3, 1, 2)
    return torch.from_numpy(images / np.float32(127.5) - 1), torch.from_numpy(np.stack([anomaly.mask for anomaly in made]))


def learned(train, held_out):
    """Pixel AP on the held-out anomalies after a short training, and their share of anomalous pixels."""
    torch.manual_seed(0)
    net, draws = SmallNet(), torch.Generator().manual_seed(0)
    images, masks = train
    weight = torch.tensor(min(20.0, (~masks).sum().item() / masks.sum().item()))
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(images), (BATCH,), generator=draws)
        loss = functional.binary_cross_entropy_with_logits(net(images[chosen]), masks[chosen].float(), pos_weight=weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        scores = net(held_out[0])
    truth = held_out[1].numpy().ravel()
    return float(average_precision(scores.numpy().ravel(), truth.astype(int)).value), float(truth.mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(synthesizers.names()) - MADE_BEFORE))
def test_a_small_network_learns_it(name):
    precision, share = learned(anomalies(name, "train", TRAIN), anomalies(name, "held out", HELD_OUT))
    print(f"{name}: pixel AP {precision:.3f}, {precision / share:.1f} times the prior {share:.4f}")
    assert precision > LEAST * share


@pytest.mark.slow
def test_masks_out_of_step_are_not_learned():
    """The check has teeth: rows and columns of the masks are swapped."""
    train, held_out = anomalies("draem", "train", TRAIN), anomalies("draem", "held out", HELD_OUT)
    precision, share = learned((train[0], train[1].mT), (held_out[0], held_out[1].mT))
    print(f"swapped: pixel AP {precision:.3f}, {precision / share:.1f} times the prior {share:.4f}")
    assert precision < LEAST * share
