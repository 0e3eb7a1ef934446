"""A JSON Schema's references and `allOf`: what a schema in it asks for, with all of that in it."""

from __future__ import annotations

import re
from typing import Any

from groq_magic.errors import InputError
from groq_magic.prompts.values import shown
from groq_magic.schema.merging import Apart, both, kinds

Json = dict[str, Any]

MOST = 10_000
"""So many schemas may lie in one; references that double at each step would make more without end."""

SAID = ("title", "description")
"""The words that ask nothing of a reply and are sent, for the model reads them."""


def defined(reference: str) -> str | None:
    """The name under `$defs` (or `definitions`) that a reference means, None for any other reference."""
    found = re.fullmatch(r"#/(?:\$defs|definitions)/([^/]+)", reference)
    return found[1].replace("~1", "/").replace("~0", "~") if found else None


def said(schema: Json, name: str) -> Json:
    """What a schema says to the model: its description, and a title that does not just repeat its name."""
    found = {word: schema[word] for word in SAID if schema.get(word)}
    if "title" in found and _squashed(str(found["title"])) == _squashed(name):
        del found["title"]
    return found


def _squashed(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


class Source:
    """A schema as it was given, which errors call `called`; `typed` where it comes from a class."""

    def __init__(self, root: Json, called: str, typed: bool) -> None:
        self.root, self.typed = root, typed
        self.named: Json = {**root.get("definitions", {}), **root.get("$defs", {})}
        self._called, self._count = called, 0

    def refused(self, path: str, why: str) -> InputError:
        """The error that says what is wrong at this path of the schema."""
        return InputError(f"{self._called}: {path} {why}")

    def anything(self, path: str) -> InputError:
        """The error for a schema that asks for nothing."""
        instead = "say what it is, for example `str`" if self.typed else "say its `type`"
        return self.refused(path, f"may be anything: {instead}")

    def counted(self, path: str) -> None:
        """Counts one schema more. Raises InputError where there are too many."""
        self._count += 1
        if self._count > MOST:
            raise self.refused(path, f"is one schema too many: {MOST:,} are the most")

    def target(self, reference: str, path: str) -> Any:
        """What a reference at `path` means. Raises InputError where it leads elsewhere or nowhere."""
        if reference == "#":
            return self.root
        name = defined(reference)
        if name is None:
            raise self.refused(path, f"refers to {shown(reference)}: put that under `$defs`, '#/$defs/…'")
        if name not in self.named:
            raise self.refused(path, f"refers to {shown(reference)}, which is not there")
        return self.named[name]

    def end(self, reference: str, path: str) -> str:
        """The last of references that mean one another, for most the reference itself."""
        passed = [reference]
        while isinstance(target := self.target(reference, path), dict) and target.keys() == {"$ref"}:
            reference = target["$ref"]
            if reference in passed:
                raise self._circle(reference, path)
            passed.append(reference)
        return reference

    def _circle(self, reference: str, path: str) -> InputError:
        return self.refused(path, f"refers to {shown(reference)}, which leads in a circle")

    def flat(self, given: Any, path: str, passed: tuple[str, ...] = ()) -> Json:
        """The schema with its reference and all of `allOf` in it."""
        if given is False:
            raise self.refused(path, "allows nothing (`false`)")
        if given is True:
            raise self.anything(path)
        found = {word: value for word, value in given.items() if word not in ("$ref", "allOf")}
        parts = [self.flat(part, path, passed) for part in given.get("allOf", []) if part is not True]
        if "$ref" in given:
            parts.append(self._meant(given["$ref"], path, passed))
        for part in parts:
            self.counted(path)
            try:
                found = both(found, part)
            except Apart as exc:
                why = f"has an `allOf` whose parts disagree in `{exc}`: write them as one schema"
                raise self.refused(path, why) from exc
        return found

    def _meant(self, reference: str, path: str, passed: tuple[str, ...]) -> Json:
        if reference in passed:
            raise self._circle(reference, path)
        inner = self.flat(self.target(reference, path), path, (*passed, reference))
        beside = {*SAID, "$defs", "definitions"}
        asking = {word: value for word, value in inner.items() if word not in beside}
        return {**asking, **said(inner, defined(reference) or "")}

    def takes_null(self, given: Any, passed: tuple[str, ...] = ()) -> bool:
        """Whether null fits a schema, as far as it says so."""
        if not isinstance(given, dict):
            return False
        reference = given.get("$ref")
        if reference is not None and reference not in passed:
            return self.takes_null(self.target(reference, "$"), (*passed, reference))
        if branches := [*given.get("anyOf", []), *given.get("oneOf", [])]:
            return any(self.takes_null(branch, passed) for branch in branches)
        if parts := given.get("allOf"):
            return all(self.takes_null(part, passed) for part in parts)
        if "enum" in given:
            return None in given["enum"]
        return "null" in kinds(given) or ("const" in given and given["const"] is None)
