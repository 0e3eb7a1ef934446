"""Two JSON Schemas that hold at once, made one; and two of which never both hold."""

from __future__ import annotations

from typing import Any

_TIGHTER = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
}
_EITHER = {
    *("pattern", "format", "multipleOf", "const", "anyOf", "oneOf"),
    *("prefixItems", "additionalProperties"),
}


class Apart(ValueError):
    """Two schemas that cannot be made one; the text is the keyword on which they part."""


def both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The schema that asks for what both ask for; words that ask nothing are the first one's.

    Inner schemas that meet are left as an `allOf`. Raises Apart.
    """
    found = {**other, **one}
    for word in one.keys() & other.keys():
        here, there = one[word], other[word]
        if here == there:
            continue
        if word in _TIGHTER:
            found[word] = _TIGHTER[word](here, there)
        elif word == "required":
            found[word] = list(dict.fromkeys([*here, *there]))
        elif word == "properties":
            met = {name: {"allOf": [here[name], there[name]]} for name in here if name in there}
            found[word] = {**here, **there, **met}
        elif word == "items":
            found[word] = {"allOf": [here, there]}
        elif word == "enum":
            found[word] = _not_empty(word, [value for value in here if value in there])
        elif word == "type":
            found[word] = _not_empty(word, _common(kinds(one), kinds(other)))
        elif word in _EITHER:
            raise Apart(word)
    named = found.get("properties", {}).keys()
    for part in (one, other):
        if part.get("additionalProperties") is False and named - part.get("properties", {}).keys():
            raise Apart("additionalProperties")
    return found


def never_both(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether no value fits both of two strict schemas, as far as types, labels and fields tell."""
    if "enum" in one and "enum" in other:
        return not any(value in other["enum"] for value in one["enum"])
    if not _common(kinds(one), kinds(other)):
        return bool(kinds(one) and kinds(other))
    here, there = one.get("properties", {}), other.get("properties", {})
    if here.keys() != there.keys():
        return True
    labels = [name for name in here if "enum" in here[name] and "enum" in there[name]]
    return any(never_both(here[name], there[name]) for name in labels)


def kinds(schema: dict[str, Any]) -> list[str]:
    """The types that a schema names, in its order."""
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def _common(here: list[str], there: list[str]) -> list[str]:
    """The types in both; a whole number is a number."""
    found = [kind for kind in here if kind in there or (kind == "integer" and "number" in there)]
    narrower = "integer" in there and "number" in here and "integer" not in here
    return [*found, "integer"] if narrower else found


def _not_empty(word: str, found: list[Any]) -> list[Any]:
    if not found:
        raise Apart(word)
    return found
