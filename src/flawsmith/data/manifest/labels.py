"""What a row says that its image shows: label, class name and class id must agree."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flawsmith.core.samples import GOOD, UNKNOWN

NORMAL_LABELS = frozenset({"normal", "good", "normal_test", "0"})
ANOMALOUS_LABELS = frozenset({"anomalous", "abnormal", "anomaly", "1"})
NORMAL_CLASSES = frozenset({"good", "ok", "normal", "free"})
TEST_LABEL = "normal_test"
"""anomalib's label of a normal that belongs to the test."""

COMBINED = "combined"
"""The class that UniADC gives to images of several; it must be the last one."""

LONGEST_NAME = 200


class Disagreement(ValueError):
    """Why a row's label cannot be taken."""


@dataclass(frozen=True)
class Told:
    """What the label columns of a row say.

    Args:
        label, second, class_name, class_id: the cells; None where missing.
        split: the cell, which must not contradict `normal_test`.
    """

    label: str | None = None
    second: str | None = None
    class_name: str | None = None
    class_id: str | None = None
    split: str | None = None


def meaning(told: Told) -> tuple[str, int | None]:
    """(defect, class id or None) of a row.

    Raises:
        Disagreement: unknown text, no label at all, or two that disagree.
    """
    named = _class_name(told.class_name)
    says = {"label": _is_anomalous(told.label, named), "label_index": _is_anomalous(told.second, named)}
    says["class_name"] = None if named is None else named != GOOD
    number = _number(told.class_id)
    says["class_id"] = None if number is None else number > 0
    given = {column: value for column, value in says.items() if value is not None}
    if not given:
        raise Disagreement("has no label")
    if len(set(given.values())) > 1:
        told_so = " and ".join(f"{column} says {'anomalous' if value else 'normal'}" for column, value in given.items())
        raise Disagreement(f"contradicts itself: {told_so}")
    if _trimmed(told.label) == TEST_LABEL and (told.split or "").casefold() not in ("", "test"):
        raise Disagreement(f"is labelled normal_test and has the split {told.split!r}")
    implied = _implied_id(told.label)
    if implied is not None and number is not None and implied != number:
        raise Disagreement(f"has the label {implied} and the class_id {number}")
    if not next(iter(given.values())):
        return GOOD, number
    return named or UNKNOWN, number if number is not None else implied


def _trimmed(text: str | None) -> str:
    return _whole((text or "").strip().casefold())


def _whole(text: str) -> str:
    """A number without `.0`, which pandas writes after the integers of a column in which a cell is missing."""
    return text.removesuffix(".0") if text.removesuffix(".0").isdecimal() else text


def _is_anomalous(text: str | None, named: str | None) -> bool | None:
    label = _trimmed(text)
    if not label:
        return None
    if label in NORMAL_LABELS:
        return False
    if label in ANOMALOUS_LABELS or (named is not None and _implied_id(text) is not None):
        return True
    more = ", or a class id beside a class_name" if label.isdecimal() else ""
    raise Disagreement(f"has the label {text!r}, which is none of normal, good, 0, anomalous, abnormal, 1{more}")


def _implied_id(text: str | None) -> int | None:
    """UniADC's `label` is the class id, and only from 2 on does it show."""
    label = _trimmed(text)
    return int(label) if label.isascii() and label.isdecimal() and len(label) < 4 and int(label) > 1 else None


def _class_name(text: str | None) -> str | None:
    if text is None:
        return None
    name = clean_name("class_name", text)
    if name.casefold() == "nan":
        raise Disagreement(f"has the class_name {text!r}")
    return GOOD if name.casefold() in NORMAL_CLASSES else name


def clean_name(column: str, text: str) -> str:
    """A cell as a part of an id: normalised, without space around it.

    Raises:
        Disagreement: it is empty, holds a slash or what is no printable text, or is too long.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise Disagreement(f"has the {column} {text!r}")
    if name in (".", "..") or "/" in name or len(name) > LONGEST_NAME or any(ord(letter) < 32 for letter in name):
        raise Disagreement(f"has the {column} {name[:60]!r}, which cannot be part of an id: a slash, no text, or too long")
    return name


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    number = _whole(text)
    if not (number.isascii() and number.isdecimal() and len(number) < 4 and int(number) < 256):
        raise Disagreement(f"has the class_id {text!r}; 0 is normal, 1…255 are the defects")
    return int(number)


@dataclass
class ClassOrder:
    """The defects of one product in the order of their ids, from what its rows say.

    Args:
        ids: defect → id.
        declared: the cell `classes`, split; None where there is none.
        combined: defects that stand for several.
        by_label: whether some id came from a label above 1, as UniADC writes them.
    """

    ids: dict[str, int] = field(default_factory=dict)
    declared: tuple[str, ...] | None = None
    combined: tuple[str, ...] = ()
    by_label: bool = False

    def tell(self, column: str, names: tuple[str, ...]) -> None:
        """Take what a row says in the column `classes` or `combined`.

        Raises:
            Disagreement: another row of the product says otherwise.
        """
        said = self.declared if column == "classes" else self.combined or None
        if said is not None and said != names:
            raise Disagreement(f"has the {column} {'; '.join(said)} in one row and {'; '.join(names)} in another of one product")
        if column == "classes":
            self.declared = names
        else:
            self.combined = names

    def names(self) -> tuple[str, ...]:
        """The defects in the order of their ids; empty where no order is declared.

        Raises:
            Disagreement: two defects of one id, a gap, or an order that is not the declared one.
        """
        if self.declared is not None:
            wrong = [name for name, number in self.ids.items() if self._declared_id(name) != number]
            if wrong:
                raise Disagreement(f"gives {wrong[0]} the class id {self.ids[wrong[0]]}, against {'; '.join(self.declared)}")
            return self.declared
        ordered = tuple(sorted(self.ids, key=lambda name: self.ids[name]))
        numbers = [self.ids[name] for name in ordered]
        if numbers != list(range(1, len(numbers) + 1)):
            told = ", ".join(f"{name} {number}" for name, number in zip(ordered, numbers, strict=True))
            raise Disagreement(f"has the class ids {told}, where 1, 2, … without a gap are expected")
        if self.by_label and COMBINED in ordered[:-1]:
            raise Disagreement(f"has {COMBINED} as class {self.ids[COMBINED]} of {len(ordered)}, where it must be the last")
        return ordered

    def _declared_id(self, name: str) -> int:
        declared = self.declared or ()
        return declared.index(name) + 1 if name in declared else 0

    def standing_for_several(self) -> frozenset[str]:
        """The defects that stand for several."""
        own = {COMBINED} if self.by_label and COMBINED in self.ids else set()
        return frozenset({*self.combined, *own})


def class_orders(rows: Iterable[tuple[str, str, int | None, Told]]) -> Mapping[str, ClassOrder]:
    """Product → its classes, from distinct (product, defect, id, what was told).

    Raises:
        Disagreement: one defect with two ids.
    """
    orders: dict[str, ClassOrder] = {}
    pending: dict[str, dict[str, int]] = {}
    for product, defect, number, told in rows:
        order = orders.setdefault(product, ClassOrder())
        label = _trimmed(told.label)
        order.by_label = order.by_label or (told.class_id is None and _implied_id(label) is not None)
        if number is None and label == "1" and told.class_name is not None and defect != GOOD:
            pending.setdefault(product, {})[defect] = 1
        if number is not None and defect != GOOD:
            _note_id(order, product, defect, number)
    for product, firsts in pending.items():
        if orders[product].by_label:
            for defect, number in firsts.items():
                _note_id(orders[product], product, defect, number)
    return orders


def _note_id(order: ClassOrder, product: str, defect: str, number: int) -> None:
    if order.ids.setdefault(defect, number) != number:
        raise Disagreement(f"gives {defect} of {product} the class ids {order.ids[defect]} and {number}")
