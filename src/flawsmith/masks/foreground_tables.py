"""Which rule finds the object of a product, as MemSeg and RealNet chose for each of theirs.

MemSeg (TooTouch/MemSeg, anomaly_mask.json): one level per class of MVTec AD, and whether the object is brighter. RealNet
(cnulab/RealNet, realnet_dataset.py): thresholds for MVTec AD, VisA, MPDD and BTAD. `foreground.parse_rule` reads their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flawsmith.core.errors import UnknownName

Words = Mapping[str, str]

EVERYWHERE = "none"
AUTO = "auto"


def _each(products: str, word: str) -> dict[str, str]:
    return dict.fromkeys(products.split(), word)


TABLES: dict[str, dict[str, Words]] = {
    "memseg": {
        "mvtec": {
            **_each("cable carpet grid leather tile wood", EVERYWHERE),
            "bottle": "threshold:250",
            "capsule": "threshold:120",
            "hazelnut": "threshold:50,bright",
            "metal_nut": "threshold:40,bright",
            "pill": "threshold:100,bright",
            "screw": "threshold:110",
            "toothbrush": "threshold:30,bright",
            "transistor": "threshold:90",
            "zipper": "threshold:100",
        },
    },
    "realnet": {
        "mvtec": {
            **_each("carpet leather tile wood cable transistor", EVERYWHERE),
            "pill": "otsu:bright",
            **_each("hazelnut metal_nut toothbrush", "triangle:bright"),
            **_each("bottle capsule grid screw zipper", "otsu:dark"),
        },
        "visa": {
            "capsules": EVERYWHERE,
            **_each("pcb1 pcb2 pcb3 pcb4", "triangle:bright,blue,c8,o3"),
            **_each("candle cashew chewinggum fryum macaroni1 macaroni2 pipe_fryum", "otsu:bright,c3,o3"),
        },
        "mpdd": {
            **_each("bracket_black bracket_brown connector", "otsu:dark,green,c6,o0"),
            **_each("bracket_white tubes", "otsu:bright,blue,c6,o0"),
            "metal_plate": "otsu:dark,c6,o0",
        },
        "btad": {
            "02": EVERYWHERE,
            **_each("01 03", "otsu:bright,c15,o6"),
        },
    },
}


def word_for(table: str, product: str, dataset: str, *, otherwise_auto: bool) -> str:
    """The rule that a table has for a product.

    Args:
        table: of `TABLES`.
        product: its name in the data set.
        dataset: the data set's name, in any spelling (`MVTec-AD`); one that no table knows leaves it to the product's name.
        otherwise_auto: answer `auto` for a product that the table does not know.

    Raises:
        UnknownName: the table does not know the product.
    """
    told = {name: word for words in _sections(table, dataset) for name, word in words.items()}
    if product in told:
        return told[product]
    if otherwise_auto:
        return AUTO
    hint = f"write foreground=table:{table},auto to let auto decide, or give the product a rule"
    raise UnknownName(f"product of foreground table {table}", product, sorted(told), hint)


def _sections(table: str, dataset: str) -> Iterable[Words]:
    """The part for the data set; every part where no table knows it."""
    plain = "".join(letter for letter in dataset.lower() if letter.isalnum())
    known = {name for parts in TABLES.values() for name in parts}
    named = next((name for name in sorted(known) if plain.startswith(name)), None)
    return TABLES[table].values() if named is None else [TABLES[table].get(named, {})]
