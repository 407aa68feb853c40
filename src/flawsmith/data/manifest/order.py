"""The order of a data set, for columns: one text per id whose plain order is the natural one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_DIGITS = re.compile(r"\d+")


def natural_text(text: str) -> str:
    """A text that sorts, letter by letter, as `flawsmith.data.tree.natural_key` sorts `text`.

    A run of digits becomes a mark below every letter, the length of the number, the number, and the run itself for the order
    of `01` and `1`. `text` holds no control letters.
    """
    return _DIGITS.sub(_ranked_match, text)


def natural_texts(texts: Iterable[str]) -> list[str]:
    """`natural_text` of many."""
    substitute = _DIGITS.sub
    return [substitute(_ranked_match, text) for text in texts]


def _ranked_match(match: re.Match[str]) -> str:
    return _ranked(match[0])


@lru_cache(maxsize=1 << 16)
def _ranked(digits: str) -> str:
    latin = digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)
    number = latin.lstrip("0") or "0"
    return f"\x01{chr(32 + min(len(number), 50_000))}{number}{digits}\x00"
