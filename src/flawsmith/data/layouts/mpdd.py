"""Layout `mpdd`: painted metal parts (Jezek et al., "Deep learning-based defect detection of metal parts", ICUMT 2021).

Repository stepanje/MPDD; MVTec AD's form.
"""

from __future__ import annotations

from typing import ClassVar

from flawsmith.data.layouts.published import PublishedLayout, Sheet, counted, named_in

COUNTS = counted("""
    bracket_black 289+32 hole 12, scratches 35
    bracket_brown 185+26 bend_and_parts_mismatch 17, parts_mismatch 34
    bracket_white 110+30 defective_painting 13, scratches 17
    connector 128+30 parts_mismatch 14
    metal_plate 54+26 major_rust 14, scratches 34, total_rust 23
    tubes 122+32 anomalous 69
""")


class MpddLayout(PublishedLayout):
    """MPDD as released."""

    name: ClassVar[str] = "mpdd"
    sheet: ClassVar[Sheet] = Sheet(
        "MPDD",
        COUNTS,
        named_in(COUNTS),
        "CC BY-NC-SA 4.0 (no commercial use)",
        "Jezek et al.: Deep learning-based defect detection of metal parts, ICUMT 2021",
    )
