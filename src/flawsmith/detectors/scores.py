"""From an anomaly map to one score per image (detectors' spec, section 1.2)."""

from torch import Tensor


def topk_mean(anomaly_map: Tensor, at_256: int = 100) -> float:
    """Mean of the largest values of a map S×S: `at_256` of them at 256 pixels, in proportion to the area elsewhere."""
    count = max(1, round(at_256 * anomaly_map.numel() / 256**2))
    return float(anomaly_map.flatten().topk(count).values.mean())
