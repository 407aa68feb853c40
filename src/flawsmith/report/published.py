"""What papers print, with what must be known before comparing: values, where they stand, their caveats.

The numbers lie in `published_results.json` as they are printed. Here percent become fractions, and what was printed is kept. A
value that is known to be something else than its name says is kept out of comparisons, with the reason; it can be asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from flawsmith.core.errors import DamagedFile, UnknownName
from flawsmith.metrics.records import ProtocolRecord

RESOURCE = "published_results.json"
SCHEMA = "published-results/1"

ALIASES: Mapping[str, str] = {
    "mtd": "MTD",
    "mvtec": "MVTec AD",
    "mvtecad": "MVTec AD",
    "mvtecfolders": "MVTec AD",
    "mvtec3d": "MVTec 3D-AD",
    "mvtec3dad": "MVTec 3D-AD",
    "loco": "MVTec LOCO",
    "mvtecloco": "MVTec LOCO",
    "mvteclocoad": "MVTec LOCO",
    "mvtecfs": "MVTec-FS",
    "visa": "VisA",
    "btad": "BTAD",
    "mpdd": "MPDD",
    "wfdd": "WFDD",
    "wfdduniadc": "WFDD",
}
"""Names of data sets and layouts, without what is neither letter nor digit, and what the papers call them."""

CATEGORIES: Mapping[str, int] = {
    "MVTec AD": 15,
    "MVTec 3D-AD": 10,
    "MVTec LOCO": 5,
    "MVTec-FS": 15,
    "VisA": 12,
    "BTAD": 3,
    "MPDD": 6,
    "WFDD": 4,
    "MTD": 1,
}
"""How many categories a printed average is over."""

LIMIT = 0.3
"""Right end of a published AUPRO where its variant has no other."""


@dataclass(frozen=True)
class Variant:
    """How a published AUPRO was integrated: the id of docs/metrics.md (empty: not known), and its limit."""

    name: str
    fpr_limit: float = LIMIT


VARIANTS: Mapping[tuple[str, str, str], Variant] = {
    ("ASBench", "VI", "MemSeg"): Variant("full", 1.0),
    ("ASBench", "VI", "DestSeg"): Variant("anomalib<2.3"),
    ("ASBench", "VI", "DRAEM"): Variant("mvtec3d-100"),
    ("ASBench", "VI", "AnomalyDiffusion"): Variant("mvtec3d-100"),
}
"""(source, table, method) → the AUPRO of its code (metrics' specification, section 4.2)."""

AP_FOR_F1 = ("UniAD", "SimpleNet", "DiAD")


@dataclass(frozen=True)
class PublishedValue:
    """One printed number.

    Args:
        source: short name of the paper or page.
        table: where it stands there.
        dataset: as the papers call it.
        setting: shots, ratio, detector …, `;`-separated.
        method: what was measured.
        metric: id of docs/metrics.md where there is one.
        stat: `value`, `std`, `mean`, `variance`, `max`, `min`, `range`, `r`, `p_value`.
        value: a fraction where a percentage is printed.
        unit: of `value`.
        printed: as printed.
        printed_unit: of `printed`.
        caveats: what must be known.
        kept_out: why it stands beside no other value; empty: it may.
    """

    source: str
    table: str
    dataset: str
    setting: str
    method: str
    metric: str
    stat: str
    value: float
    unit: str
    printed: float
    printed_unit: str
    caveats: tuple[str, ...] = ()
    kept_out: str = ""

    @property
    def where(self) -> str:
        """`ASBench, table IV`."""
        return f"{self.source}, {self.table if ' ' in self.table else f'table {self.table}'}"

    @property
    def detector(self) -> str:
        """Which detector was measured, in the paper's words; empty where it is a mean over several."""
        named = _part(self.setting, ("best of 4 detectors", "detector", "segmenter", "discriminator"))
        if named:
            return named
        return "" if self.source == "ASBench" and self.table != "VI" else self.method

    @property
    def synthesis(self) -> str:
        """Which synthesis was measured, where the method is one."""
        return self.method if self.detector != self.method else ""

    @property
    def variant(self) -> Variant:
        """How an AUPRO was integrated."""
        return VARIANTS.get((self.source, self.table, self.method), Variant(""))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "caveats": list(self.caveats)}


@dataclass(frozen=True)
class PublishedChoice:
    """One printed name, such as the best method of a column."""

    source: str
    table: str
    dataset: str
    setting: str
    metric: str
    value: str
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Library:
    """Everything that is printed.

    Args:
        sources: short name → title.
        metrics: id → definition.
        values: numbers, in the order of the file.
        choices: names.
    """

    sources: Mapping[str, str]
    metrics: Mapping[str, str]
    values: tuple[PublishedValue, ...]
    choices: tuple[PublishedChoice, ...]


@cache
def library() -> Library:
    """All published results, read once.

    Raises:
        DamagedFile: the file of the package is not what it should be.
    """
    text = (files("flawsmith.report") / RESOURCE).read_text(encoding="utf-8")
    try:
        told = json.loads(text)
        if told["schema"] != SCHEMA:
            raise DamagedFile(f"{RESOURCE} has schema {told['schema']!r}; expected {SCHEMA!r}: install flawsmith again")
        caveats = tuple(told["caveats"])
        values = tuple(_value(dict(zip(told["columns"], row, strict=True)), caveats) for row in told["rows"])
        rows = (dict(zip(told["categorical_columns"], row, strict=True)) for row in told["categorical"])
        choices = tuple(PublishedChoice(**row, caveats=_caveats(row, caveats)) for row in rows)
        return Library(told["sources"], told["metrics"], values, choices)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{RESOURCE} cannot be read ({error}); expected {SCHEMA}: install flawsmith again") from error


def published_values(
    *,
    dataset: str | None = None,
    method: str | None = None,
    metric: str | None = None,
    table: str | None = None,
    setting: str | None = None,
    source: str | None = None,
) -> tuple[PublishedValue, ...]:
    """The printed numbers that fit every given filter, in the order of their tables.

    Args:
        dataset: name or alias, whatever its case and punctuation: `mtd`, `MVTec AD`, `mvtec`.
        method: name of a synthesis, a detector or a pair, in any case and punctuation: `cutpaste_scar`.
        metric: id.
        table: as printed: `IV`.
        setting: a text that must be in the setting, in any case: `few-shot`.
        source: short name: `ASBench`.

    Raises:
        UnknownName: no such data set, method, metric, table or source; the nearest are offered.
    """
    everything = library().values
    wanted = {
        "dataset": None if dataset is None else dataset_name(dataset) or dataset,
        "method": method,
        "metric": metric,
        "table": table,
        "source": source,
    }
    for field, name in wanted.items():
        if name is not None:
            everything = _fitting(everything, field, name)
    return tuple(each for each in everything if setting is None or setting.lower() in each.setting.lower())


def published_choices(
    *, dataset: str | None = None, metric: str | None = None, setting: str | None = None
) -> tuple[PublishedChoice, ...]:
    """The printed names that fit every given filter; as in `published_values`, but what is unknown fits nothing."""
    name = None if dataset is None else plain(dataset_name(dataset) or dataset)
    return tuple(
        each
        for each in library().choices
        if name in (None, plain(each.dataset))
        and metric in (None, each.metric)
        and (setting is None or setting.lower() in each.setting.lower())
    )


def dataset_name(name: str) -> str:
    """What the papers call a data set or the layout that reads it; empty where none of them measures it."""
    return ALIASES.get(plain(name), "")


def why_not_beside(value: PublishedValue, record: ProtocolRecord) -> str:
    """Why a published value must not stand beside a measured one; empty where it may, in grey and with its caveats.

    Args:
        value: published.
        record: of the measured value.
    """
    if value.kept_out:
        return value.kept_out
    if "@" in record.metric and value.metric == record.metric.partition("@")[0] and record.feature_extractor:
        return (
            f"{record.metric} was measured with {record.feature_extractor}, the published one with the network of its definition"
        )
    if value.metric != record.metric:
        return f"{value.metric} is not {record.metric}"
    if value.stat not in ("value", "mean"):
        return f"it is a {value.stat}"
    if value.metric == "pixel_aupro" and (reason := _other_aupro(value.variant, record)):
        return reason
    return ""


def _other_aupro(variant: Variant, record: ProtocolRecord) -> str:
    limit = record.fpr_limit or 1.0
    if variant.name and variant.fpr_limit != limit:
        return f"it is integrated up to a false-positive rate of {variant.fpr_limit:g}, ours up to {limit:g}"
    if not variant.name:
        return f"which variant of AUPRO it is is not known, ours is {record.curve}"
    if variant.name != record.curve:
        return f"it is the AUPRO variant {variant.name}, ours {record.curve}"
    return ""


def _fitting(values: Iterable[PublishedValue], field: str, name: str) -> tuple[PublishedValue, ...]:
    found = tuple(each for each in values if plain(getattr(each, field)) == plain(name))
    known = dict.fromkeys(getattr(each, field) for each in library().values)
    if field == "metric":
        known |= dict.fromkeys(each.metric for each in library().choices)
    if not found and plain(name) not in {plain(each) for each in known}:
        raise UnknownName(f"published {field}", name, known)
    return found


def plain(name: str) -> str:
    """A name without what is spelled now this way, now that: letters and digits, small.

    `@` and `+` stay: they make another metric or method of a name.
    """
    return re.sub(r"[^\w@+]|_", "", name.lower())


def _part(setting: str, keys: tuple[str, ...]) -> str:
    parts = dict(each.partition("=")[::2] for each in setting.split(";"))
    return next((parts[key] for key in keys if parts.get(key)), "")


def _value(row: Mapping[str, Any], caveats: Iterable[Mapping[str, str]]) -> PublishedValue:
    percent = row["unit"] == "percent"
    printed = float(row["value"])
    return PublishedValue(
        **{name: str(row[name]) for name in ("source", "table", "dataset", "setting", "method", "metric", "stat")},
        value=float(f"{printed / 100:.12g}") if percent else printed,
        unit="fraction" if percent else row["unit"],
        printed=printed,
        printed_unit=row["unit"],
        caveats=_caveats(row, caveats),
        kept_out=_kept_out(row),
    )


def _caveats(row: Mapping[str, Any], caveats: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(caveat["note"] for caveat in caveats if _concerns(caveat, row))


def _concerns(caveat: Mapping[str, str], row: Mapping[str, Any]) -> bool:
    if caveat["source"] != row["source"] or caveat.get("metric", row["metric"]) != row["metric"]:
        return False
    first, dash, last = caveat["table"].partition("-")
    if dash and first.isdecimal() and last.isdecimal():
        return str(row["table"]).isdecimal() and int(first) <= int(row["table"]) <= int(last)
    return caveat["table"] == "all" or row["table"] in caveat["table"].split(",")


def _kept_out(row: Mapping[str, Any]) -> str:
    """Numbers that are not what their name says; each is told by a caveat of its table."""
    place = (row["source"], row["table"])
    if row["metric"] == "lpips_unnormalised":
        return "an LPIPS distance lies between about 0 and 1"
    if place == ("CUT", "2") and row["method"] in AP_FOR_F1 and row["metric"].endswith("f1max"):
        return "the column looks like AP"
    if (*place, row["dataset"], row["method"]) == ("CUT", "2", "VisA", "VLAD+CUT") and row["metric"] in (
        "pixel_f1max",
        "pixel_aupro",
    ):
        return "a misprint; table 13 has the average that its rows confirm"
    if (*place, row["dataset"], row["stat"]) == ("ASBench", "IX", "VisA", "p_value"):
        return "the column repeats BTAD's p-values"
    if row["table"] == "IX (recomputed)":
        return "recomputed from the printed r, not printed"
    return ""
