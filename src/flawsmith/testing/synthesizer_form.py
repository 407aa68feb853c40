"""What the form of an anomaly must be, and where it may differ from its normal."""

from __future__ import annotations

import numpy as np

from flawsmith.core.requests import Anomaly, Request
from flawsmith.testing.synthesizer_case import SynthesizerCase


def assert_form(anomaly: Anomaly, request: Request) -> None:
    """Image, mask, clean twin and soft mask have the types and the size that the contract states."""
    assert request.normal is not None
    shape = request.normal.image().shape
    assert anomaly.image.dtype == np.uint8, f"the image is {anomaly.image.dtype}; expected uint8"
    assert anomaly.image.shape == shape, f"the image is {anomaly.image.shape}; expected {shape}"
    assert anomaly.mask.dtype == np.bool_, f"the mask is {anomaly.mask.dtype}; expected bool"
    assert anomaly.mask.shape == shape[:2], f"the mask is {anomaly.mask.shape}; expected {shape[:2]}"
    if anomaly.clean is not None:
        assert anomaly.clean.dtype == np.uint8, f"the clean twin is {anomaly.clean.dtype}; expected uint8"
        assert anomaly.clean.shape == shape, f"the clean twin is {anomaly.clean.shape}; expected {shape}"
    if anomaly.soft_mask is not None:
        assert anomaly.soft_mask.dtype == np.float32, f"the soft mask is {anomaly.soft_mask.dtype}; expected float32"
        assert anomaly.soft_mask.shape == shape[:2], f"the soft mask is {anomaly.soft_mask.shape}; expected {shape[:2]}"


def assert_local(case: SynthesizerCase, anomaly: Anomaly) -> None:
    """A local method changes nothing outside the mask; another changes less outside than inside."""
    if anomaly.clean is None:
        return
    apart = np.abs(anomaly.image.astype(int) - anomaly.clean).max(axis=2)
    if case.method.traits.local:
        assert not apart[~anomaly.mask].any(), "pixels outside the mask differ from the normal"
    elif anomaly.mask.any() and not anomaly.mask.all():
        assert apart[~anomaly.mask].mean() <= apart[anomaly.mask].mean(), "more changes outside the mask than inside"
