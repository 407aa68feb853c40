"""Everything that scores and localises, one file per method.

The records here are all that the registry reads; neither torch nor any method is imported before one is used.
"""

from flawsmith.core.detector import DetectorTraits, Needs, Stage
from flawsmith.core.registry import Entry

ENTRIES = (
    Entry(
        "memseg",
        target="flawsmith.detectors.memseg.detector:MemSeg",
        summary="compares features with the nearest stored normal and decodes the difference into a mask; learns from anomalies",
        paper="Yang, Wu and Feng, MemSeg, Engineering Applications of Artificial Intelligence 119 (2023), arXiv 2205.00908",
        traits=DetectorTraits(
            learns_from=frozenset({"normals", "anomalies"}),
            needs=Needs(
                memory=30, anomalies="optional", multiple=32, stages=(Stage("joint", 1.0),), residual="distance to the memory"
            ),
            default_synth="draem,cutpaste,cutpaste_scar",
        ),
    ),
    Entry(
        "patchcore",
        target="flawsmith.detectors.patchcore:PatchCore",
        summary="distance of every patch to a memory of normal patches; no training, works with one image",
        paper="Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022, arXiv 2106.08265",
        traits=DetectorTraits(learns_from=frozenset({"normals"}), needs=Needs(multiple=1)),
    ),
)

TRAITS = {entry.name: entry.traits for entry in ENTRIES}
"""What each detector promises; the classes take theirs from here, so that record and class cannot part."""
