"""Where the cursor stands: from the text of a cell and a place in it to what is being typed there. Pure.

The line is read as `options.parse` reads it, but forgivingly: it is half typed. What may stand on the line of
a verb is read from its usage, so that `OPTIONS` and `VERBS` remain the only tables.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field, replace
from typing import Literal

from groq_magic.magics.options import (
    _DASHES,
    _QUOTES,
    OPTIONS,
    VERBS,
    Option,
    Verb,
    _closing,
    _starts_option,
    _why_no_expression,
    starts_count,
)

LONGEST = 5_000
"""Characters that a magic's line, or what stands in one pair of a template's marks, may have to be read."""

_CELL = re.compile(r"\s*%%groq_batch(?=\s|\Z)")
_LINE = re.compile(r"(?:[^%#=\n]+=)?\s*%(groq_batch|groq)(?=\s)")
_CONTINUED = re.compile(r"\\[^\S\n]*\n")
_SPACE = re.compile(r"\s+")
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)


@dataclass
class Line:
    """What may stand on a magic's line, and what does, apart from the word under the cursor.

    `words` are the words that are no options, as a usage names them ("NAME", "URL|off"); `taken` is how many
    of them stand before the cursor, `later` how many behind it. `given` has the options' values by flag, as
    they were typed, with their quotes.
    """

    words: tuple[str, ...]
    options: tuple[Option, ...]
    verb: str | None = None
    taken: int = 0
    later: int = 0
    given: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """What is being typed at the cursor: `typed` is the part before it, never with its opening quote.

    A `verb`, a `word` (the one after `line.taken` others), a `flag`, the `value` of `option`, or in a
    template a `name`, a `key` of `of` ("row" or "vars") in quotes, or an `attribute` of it. `quote` is the
    sign that the text stands in, if any.
    """

    kind: Literal["verb", "word", "flag", "value", "name", "key", "attribute"]
    typed: str
    line: Line
    option: Option | None = None
    quote: str = ""
    of: str = ""


def place(text: str, offset: int) -> Place | None:
    """What is typed at a cell's place `offset`; None where it is none of our magics, or nothing of ours."""
    if cell := _CELL.match(text):
        header = _line_end(text, cell.end())
        if offset > header:
            return in_text(text[header + 1 : offset], _header(text[cell.end() : header]))
        return _on_line(text[cell.end() : offset], text[offset:header], of_batch())
    start = text.rfind("\n", 0, offset) + 1
    while text.endswith("\\\n", 0, start):
        start = text.rfind("\n", 0, start - 1) + 1
    if not (line := _LINE.match(_joined(text[start:offset]))):
        return None
    typed, after = text[start + line.end() : offset], text[offset : _line_end(text, offset)]
    return _on_line(typed, after, of_batch()) if line[1] == "groq_batch" else _after_groq(typed, after)


def of_verb(verb: Verb) -> Line:
    """What may stand after a verb, as its usage says: `[--flag VALUE]` is an option, all else are words."""
    known = {option.flag: option for option in OPTIONS}
    words, options = [], []
    for piece in re.findall(r"\[[^\]]*\]|\S+", verb.usage.removeprefix(verb.name)):
        said = piece.strip("[]")
        if said.startswith("--"):
            flag, _, metavar = said.partition(" ")
            own = Option(flag, None, metavar or None, "text" if metavar else "switch", "")
            options.append(known.get(flag, own))
        else:
            words.append(said)
    return Line(tuple(words), tuple(options), verb.name)


def of_batch() -> Line:
    """What may stand on the line of `groq_batch`."""
    return Line(("NAME",), OPTIONS)


# The line ----------------------------------------------------------------------------------------------


def _line_end(text: str, at: int) -> int:
    """Where the line of `at` ends, with the lines that trailing backslashes continue it on."""
    while (end := text.find("\n", at)) >= 0:
        if not text[at:end].rstrip().endswith("\\"):
            return end
        at = end + 1
    return len(text)


def _joined(line: str) -> str:
    """The line with spaces for its backslashes and line ends, so that places in it stay the same."""
    return _CONTINUED.sub(lambda found: " " * len(found[0]), line)


def _header(line: str) -> Line:
    """A whole line of `groq_batch`."""
    known = of_batch()
    if len(line) <= LONGEST:
        _walk(_joined(line) + "\n", known)
    return known


def _after_groq(before: str, after: str) -> Place | None:
    """The place at the end of `before`, a line after `%groq`."""
    said = re.match(r"(\s*)(\S*)", _joined(before))
    if said is None or said.end() == len(before):
        return Place("verb", said[2] if said else "", Line((), ()))
    verb = next((verb for verb in VERBS if verb.name == said[2]), None)
    return _on_line(before[said.end() :], after, of_verb(verb)) if verb else None


def _on_line(before: str, after: str, known: Line) -> Place | None:
    """The place at the end of `before`, a line after its magic's name (and verb); `after` follows it."""
    if len(before) + len(after) > LONGEST:
        return None
    found = _walk(_joined(before), known)
    if found:
        closes = _closing(found.quote + after, 0) if found.quote else None
        others = after[closes:] if closes else re.sub(r"\A\S+", "", after)
        behind = replace(known, taken=0, given={})
        _walk(_joined(others) + "\n", behind)
        known.later, known.given = behind.taken, behind.given | known.given
    return found


def _walk(line: str, known: Line) -> Place | None:
    """Reads the line's words into `known`; the place at its end, or None where nothing of ours is typed."""
    at = 0
    while True:
        at = _skip(line, at)
        if at == len(line):
            return Place("word", "", known) if line[-1:].isspace() else None
        if line[at] in _DASHES:
            end = _until(line, at, "=")
            if end == len(line):
                return Place("flag", line[at:], known)
            option = _named(line[at:end], known.options)
        else:
            end, option = _word_end(line, at), None
            if end == len(line):
                return Place("word", line[at:], known)
            known.taken += 1
        at, glued = end, line[end] == "="
        if option is None or option.kind == "switch":
            at = _until(line, at)
            typed: int | tuple[str, str] | None = at
        else:
            at = end + 1 if glued else _skip(line, at)
            bare = not glued and at < len(line) and _is_flag(line, at)
            bare = bare or (not glued and option.kind == "count" and not starts_count(line, at))
            typed = at if bare else _value_end(line, at, option)
        if not isinstance(typed, int):
            return Place("value", typed[1], known, option, typed[0]) if typed else None
        if option:
            known.given.setdefault(option.flag, line[at:typed])
        at = typed


def _skip(line: str, at: int) -> int:
    found = _SPACE.match(line, at)
    return found.end() if found else at


def _until(line: str, at: int, stop: str = "") -> int:
    """Where white space, one of `stop` or the line's end comes next."""
    while at < len(line) and not line[at].isspace() and line[at] not in stop:
        at += 1
    return at


def _word_end(line: str, at: int) -> int:
    """Where the word or quoted text at `at` ends; an open quote takes in all that follows."""
    closes = _closing(line, at) if line[at] in _QUOTES else at
    return len(line) if closes is None else _until(line, closes)


def _named(word: str, options: tuple[Option, ...]) -> Option | None:
    return next((each for each in options if word == each.short or word.replace("_", "-") == each.flag), None)


def _is_flag(line: str, at: int) -> bool:
    """Whether an option stands at `at`, or dashes that one is beginning with."""
    return _starts_option(line, at) or not line[at:].strip(_DASHES)


def _value_end(line: str, at: int, option: Option) -> int | tuple[str, str] | None:
    """Where the option's value ends; its quote and text where it is still being typed; else None."""
    if at == len(line):
        return "", ""
    quoted = line[at] in _QUOTES
    if quoted:
        closes = _closing(line, at)
        if closes is None:
            return line[at], line[at + 1 :]
        if not line[closes + 1 : closes + 2].strip():
            return closes + 1
    if option.kind == "expression":
        return _expression_end(line, at, option)
    end = _until(line, at)
    return end if quoted or end < len(line) else ("", line[at:])


def _expression_end(line: str, at: int, option: Option) -> int | tuple[str, str] | None:
    """As `_value_end`. An expression ends before an option, before a NAME after it, or at the line's end."""
    spaces = [found.span() for found in _SPACE.finditer(line, at)]
    for end in [left for left, right in spaces if right < len(line) and _is_flag(line, right)] + [len(line)]:
        text = line[at:end]
        if _compiles(text, option):
            if end < len(line) or text[-1].isspace():
                return end
            return "", text
        head = re.match(r"(.*\S)\s+(\w+)\s*\Z", text, re.DOTALL)
        if head and _is_name(head[2]) and _compiles(head[1], option):
            return at + head.end(1)
    return None


def _compiles(text: str, option: Option) -> bool:
    return _why_no_expression(text.strip(), option) is None


def _is_name(word: str) -> bool:
    return word.isidentifier() and not keyword.iskeyword(word)


# Templates ---------------------------------------------------------------------------------------------


def in_text(before: str, line: Line) -> Place | None:
    """What is typed at the end of `before`, a text that may be a template, if that is inside its marks."""
    start = max(before.rfind("{{"), before.rfind("{%"))
    inner = before[start + 2 :]
    if start < 0 or len(inner) > LONGEST or "--raw" in line.given:
        return None
    return _in_marks(inner, before[start + 1], line)


def _in_marks(inner: str, mark: str, line: Line) -> Place | None:
    """What is typed at the end of `inner`, the text after `{{` (or `{%`, as `mark` says)."""
    code = _STRING.sub(lambda found: "\0" * len(found[0]), inner)
    opened = re.search(r"[\"']", code)
    said = code[: opened.start()] if opened else code
    if ("}}" if mark == "{" else "%}") in said:
        return None
    if opened:
        of = re.search(r"(?<![\w.])(row|vars)\s*\[\s*\Z", said)
        return Place("key", inner[opened.end() :], line, quote=opened[0], of=of[1]) if of else None
    if of := re.search(r"(?<![\w.])(row|vars)\.(\w*)\Z", said):
        return Place("attribute", of[2], line, of=of[1])
    word = re.search(r"(?<!\w)([^\W\d]\w*)?\Z", said)
    before = said[: word.start()].rstrip() if word else "."
    if before.endswith((".", "|")) or (mark == "%" and not before.lstrip("+-")):
        return None  # an attribute of something else, a filter; the word that a tag begins with
    return Place("name", word[0] if word else "", line)
