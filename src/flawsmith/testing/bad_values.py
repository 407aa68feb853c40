"""Values that a method's declared constraints forbid, and the last ones that they allow, read from its schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flawsmith.core.methods import Method

NUDGE = 1e-3


def forbidden(method: type[Method]) -> Iterator[tuple[str, Any]]:
    """(parameter, value) for values of every parameter that must be refused."""
    for name, schema in _properties(method).items():
        for value in _forbidden(schema):
            yield name, value


def extremes(method: type[Method]) -> Iterator[tuple[str, Any]]:
    """(parameter, value) for the least and the largest number that each parameter allows, ranges at one point included."""
    for name, schema in _properties(method).items():
        for value in _extremes(schema):
            yield name, value


def _properties(method: type[Method]) -> Mapping[str, Any]:
    return dict(method.model_json_schema()["properties"])


def _forbidden(schema: Mapping[str, Any]) -> list[Any]:
    """One wrong type, each declared bound crossed, and for numbers those that are none."""
    if "anyOf" in schema:
        return [value for part in schema["anyOf"] if part.get("type") != "null" for value in _forbidden(part)]
    if "prefixItems" in schema:
        good = [_allowed(part) for part in schema["prefixItems"]]
        wrong = [[*good[:k], bad, *good[k + 1 :]] for k, part in enumerate(schema["prefixItems"]) for bad in _forbidden(part)]
        return [[], "several", *wrong]
    if "enum" in schema or "const" in schema:
        return ["no such word"]
    bounds = {"minimum": -1, "exclusiveMinimum": 0, "maximum": 1, "exclusiveMaximum": 0}
    crossed = [schema[bound] + step for bound, step in bounds.items() if bound in schema]
    endless = [float("inf"), float("nan")] if schema.get("type") == "number" else []
    return [{"string": 12345, "boolean": "perhaps"}.get(str(schema.get("type")), "nonsense"), *crossed, *endless]


def _allowed(schema: Mapping[str, Any]) -> Any:
    ends = _extremes(schema)
    return ends[0] if ends else 0


def _extremes(schema: Mapping[str, Any]) -> list[Any]:
    if "prefixItems" in schema:
        parts = [_extremes(part) for part in schema["prefixItems"]]
        return [list(ends) for ends in zip(*parts, strict=False)] if all(parts) else []
    if "enum" in schema:
        return list(schema["enum"])
    if schema.get("type") == "boolean":
        return [False, True]
    low = schema.get("minimum", schema["exclusiveMinimum"] + NUDGE if "exclusiveMinimum" in schema else None)
    high = schema.get("maximum", schema["exclusiveMaximum"] - NUDGE if "exclusiveMaximum" in schema else None)
    return [value for value in (low, high) if value is not None]
