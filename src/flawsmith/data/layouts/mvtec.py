"""Layout `mvtec`: MVTec AD (Bergmann et al., CVPR 2019; IJCV 129, 2021), in the form that most others are converted to.

Counts are those of the release; `combined` holds several defects in one image and has the last class id.
"""

from __future__ import annotations

from typing import ClassVar

from flawsmith.data.layouts.published import PublishedLayout, Sheet, counted, named_in

COUNTS = counted("""
    carpet 280+28 color 19, cut 17, hole 17, metal_contamination 17, thread 19
    grid 264+21 bent 12, broken 12, glue 11, metal_contamination 11, thread 11
    leather 245+32 color 19, cut 19, fold 17, glue 19, poke 18
    tile 230+33 crack 17, glue_strip 18, gray_stroke 16, oil 18, rough 15
    wood 247+19 color 8, hole 10, liquid 10, scratch 21, combined 11
    bottle 209+20 broken_large 20, broken_small 22, contamination 21
    cable 224+58 bent_wire 13, cable_swap 12, cut_inner_insulation 14, cut_outer_insulation 10, missing_cable 12, \
missing_wire 10, poke_insulation 10, combined 11
    capsule 219+23 crack 23, faulty_imprint 22, poke 21, scratch 23, squeeze 20
    hazelnut 391+40 crack 18, cut 17, hole 18, print 17
    metal_nut 220+22 bent 25, color 22, flip 23, scratch 23
    pill 267+26 color 25, contamination 21, crack 26, faulty_imprint 19, pill_type 9, scratch 24, combined 17
    screw 320+41 manipulated_front 24, scratch_head 24, scratch_neck 25, thread_side 23, thread_top 23
    toothbrush 60+12 defective 30
    transistor 213+60 bent_lead 10, cut_lead 10, damaged_case 10, misplaced 10
    zipper 240+32 broken_teeth 19, fabric_border 17, fabric_interior 16, rough 17, split_teeth 18, squeezed_teeth 16, combined 16
""")


class MvtecLayout(PublishedLayout):
    """MVTec AD as released."""

    name: ClassVar[str] = "mvtec"
    sheet: ClassVar[Sheet] = Sheet(
        "MVTec AD",
        COUNTS,
        named_in(COUNTS),
        "CC BY-NC-SA 4.0 (no commercial use)",
        "Bergmann et al.: MVTec AD, CVPR 2019; The MVTec Anomaly Detection Dataset, IJCV 129, 2021",
        combined=frozenset({"combined"}),
    )
