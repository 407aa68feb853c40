"""Random weights of a backbone, from a generator of its own."""

import torch
from torch import nn


def draw_orthogonal(model: nn.Module, generator: torch.Generator) -> None:
    """Fill every convolution and linear layer with orthogonal rows from `generator`; batch norms start as identities."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight, gain=2**0.5, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
