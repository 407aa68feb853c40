"""How masks are read, as one cell of a list: `binary`, `threshold:127`, `class_id:crack=1;hole=2`, `coded:…`, `channels`, `none`.

`class_id` alone takes the ids that the list gives the classes of the product. `channels` is one binary file per region. `none`
says that such data cannot have masks. `coded` is MVTec LOCO's: `VALUE=DEFECT*AREA`, in pixels, or as a share with `r` behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from urllib.parse import quote, unquote

from flawsmith.core.errors import BadParameter
from flawsmith.data.manifest.columns import JOINER
from flawsmith.data.reading import BINARY, Code, MaskEncoding

CHANNELS = "channels"
NONE = "none"
_PLAIN = " ,()#&'"
"""Signs of a name that need no escape in a cell."""


def spell_encoding(encoding: MaskEncoding) -> str:
    """The cell of an encoding."""
    if encoding.kind == "class_id":
        return f"class_id:{JOINER.join(f'{quote(name, _PLAIN)}={value}' for name, value in encoding.classes.items())}"
    if encoding.kind == "coded":
        return f"coded:{JOINER.join(_spell_code(value, code) for value, code in encoding.codes.items())}"
    return str(encoding)


def _spell_code(value: int, code: Code) -> str:
    return f"{value}={quote(code.defect, _PLAIN)}*{code.saturation!r}{'r' if code.relative else ''}"


def parse_encoding(text: str, classes: Mapping[str, int], declared: str) -> MaskEncoding:
    """Read the cell of an encoding.

    Args:
        text: the cell.
        classes: class → id of the product, for `class_id` alone.
        declared: what declares the values, for messages.

    Raises:
        BadParameter: it is none, or names no ids and the list has none either.
    """
    kind, _, values = text.strip().partition(":")
    if kind in (CHANNELS, NONE) and not values:
        return BINARY
    if kind == "class_id":
        ids = {unquote(name): _value(text, value) for name, _, value in _pairs(values)} if values else dict(classes)
        if not ids:
            raise BadParameter(
                f"mask encoding {text!r} names no class, and the list gives none an id; expected a column class_id, or "
                f"class_id:crack=1;hole=2"
            )
        return MaskEncoding("class_id", classes=ids, declared=declared)
    if kind == "coded" and values:
        codes = {_value(text, value): _code(text, told) for value, _, told in _pairs(values)}
        return MaskEncoding("coded", codes=codes, declared=declared)
    try:
        return MaskEncoding.parse(text.strip())
    except BadParameter as error:
        raise BadParameter(
            f"mask encoding {text!r} is unknown; expected binary, threshold:T, channels, none, class_id, class_id:NAME=ID;…"
        ) from error


def _pairs(values: str) -> list[tuple[str, str, str]]:
    return [part.rpartition("=") if part.rpartition("=")[2].isdecimal() else part.partition("=") for part in values.split(JOINER)]


def _value(text: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 4 and 0 < int(value) < 256):
        raise BadParameter(f"mask encoding {text!r} holds the value {value!r}; expected 1…255, as in class_id:crack=1;hole=2")
    return int(value)


def _code(text: str, told: str) -> Code:
    defect, _, saturation = told.rpartition("*")
    try:
        area = float(saturation.removesuffix("r"))
    except ValueError:
        area = math.nan
    if not defect or not 0 <= area < math.inf:
        raise BadParameter(f"mask encoding {text!r} holds {told!r}; expected DEFECT*AREA, as in coded:255=scratch*100")
    return Code(unquote(defect), area, saturation.endswith("r"))
