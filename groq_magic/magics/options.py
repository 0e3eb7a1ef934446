"""The one table of what can be typed: the options of `groq_batch` and the verbs of `%groq`.

Parsing, `--help`, Tab and the README's table are all read from `OPTIONS` and `VERBS`.
The line is literal: nothing is expanded, quotes around a value are taken off, and only `@name` (a
variable's value) and the expressions of `--from` and `--extra` are evaluated, by the caller's `evaluate`,
after the whole line was understood.
"""

from __future__ import annotations

import io
import math
import re
import tokenize
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

from groq_magic.errors import InputError
from groq_magic.prompts.files import READERS
from groq_magic.settings import EFFORTS, RANGES, checked_model, span


@dataclass(frozen=True)
class Option:
    """One option of `groq_batch`: how it is typed, what it takes, and one plain line about it."""

    flag: str
    short: str | None
    metavar: str | None  # None for a switch
    # a "count" is a whole number that may be left out
    kind: Literal["text", "number", "integer", "count", "choice", "expression", "switch"]
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verb:
    """One verb of `%groq`: its name, how it is typed, and one plain line about it."""

    name: str
    usage: str
    help: str

    @property
    def takes_words(self) -> bool:
        """Whether anything may stand after it."""
        return self.usage != self.name


@dataclass(frozen=True)
class Parsed:
    """What a line says: the variable's name, the values of the options given, and `--from` as typed.

    The keys of `values` are the flags without dashes in front and with `_` inside (`max_tokens`); an
    option that was not given has no key.
    """

    name: str | None
    values: Mapping[str, Any]
    source_text: str | None


OPTIONS: tuple[Option, ...] = (
    Option("--model", "-m", "NAME", "text", "the model that answers; default openai/gpt-oss-20b"),
    Option("--system", "-s", "TEXT", "text", "a system message sent with every prompt; may be a template"),
    Option(
        "--from",
        "-f",
        "EXPR",
        "expression",
        "the prompts, or the rows for the template: a Python expression, or a file in quotes",
    ),
    Option("--id", None, "COLUMN", "text", "the column that holds each row's id; unique strings"),
    Option("--template", None, "TEXT", "text", "the template where there is no body: --template @name"),
    Option(
        "--missing",
        None,
        "error|skip",
        "choice",
        "rows that miss a value which is used: error (default) or skip, unsent",
        ("error", "skip"),
    ),
    Option("--temperature", "-t", "T", "number", "0 to 2: how freely the model chooses its words"),
    Option("--max-tokens", None, "N", "integer", "at most so many tokens an answer, reasoning included"),
    Option(
        "--extra", None, "DICT", "expression", "a dict merged into every request: top_p, stop, tools and more"
    ),
    Option(
        "--schema",
        None,
        "SCHEMA",
        "expression",
        "what each answer is to fit: labels in quotes, a Pydantic model, a dataclass, a JSON Schema …",
    ),
    Option("--seed", None, "N", "integer", "the same seed asks for the same words, as far as a model can"),
    Option(
        "--reasoning",
        None,
        "low|medium|high",
        "choice",
        "how long a reasoning model thinks before it answers; Groq's default for gpt-oss is medium",
        EFFORTS,
    ),
    Option("--take", None, "N", "integer", "the Nth set of answers to the same prompts; default 1"),
    Option("--samples", None, "N", "integer", "ask each prompt N times; from 3 to 5 sends two more of each"),
    Option("--unique", None, None, "switch", "send equal prompts once; the answer fills all their rows"),
    Option("--window", "-w", "24h|7d", "choice", "how long Groq may take; default 24h", ("24h", "7d")),
    Option("--max-cost", None, "USD", "number", "send nothing that is estimated to cost more; default 5"),
    Option(
        "--save",
        None,
        "PATH",
        "text",
        "a file (.jsonl, .csv, .parquet) that the answers are written to, and read from first",
    ),
    Option("--replace", None, None, "switch", "cancel the batch that NAME still holds, and send this one"),
    Option(
        "--now",
        None,
        None,
        "switch",
        "ask each prompt at once by itself: twice the batch price, for keys without batch access",
    ),
    Option(
        "--try",
        None,
        "[N]",
        "count",
        "ask the first N (3) now, as --now does, and show them; bind nothing; the full run reuses them",
    ),
    Option("--dry-run", None, None, "switch", "show what would be sent; send and bind nothing"),
    Option("--wait", None, None, "switch", "the cell returns when the batch has ended"),
    Option("--plain", None, None, "switch", "text in place of the live card"),
    Option("--raw", None, None, "switch", "no templates: send double braces as they are"),
    Option("--lines", None, None, "switch", "every non-blank line of the body is a prompt of its own"),
    Option("--help", "-h", None, "switch", "show the options and verbs"),
)

OVERVIEW = Verb("", "", "how things stand: where prompts go, the key, what runs, and what to type next")
"""What `%groq` alone is."""

VERBS: tuple[Verb, ...] = (
    Verb("batches", "batches", "every batch that the ledger or the service knows, and what to type"),
    Verb("wait", "wait NAME [--timeout S]", "wait until NAME's batch has ended"),
    Verb(
        "cancel",
        "cancel NAME|ID [--anyway]",
        "stop a batch; answers that came are kept; --anyway: also where others wait for it",
    ),
    Verb(
        "retry",
        "retry NAME [--max-tokens N] [--model NAME] [--temperature T] [--seed N] [--reasoning EFFORT] "
        "[--extra DICT] [--max-cost USD]",
        "send again what has no answer (what was cut off too, with more tokens), changed as said",
    ),
    Verb(
        "attach",
        "attach [ID|OLDNAME] [NAME]",
        "take up a batch again under NAME; bare: everything this notebook had",
    ),
    Verb("models", "models", "the models that your key may use, their prices, and which work in a batch"),
    Verb(
        "key", "key", "ask for a Groq key, hidden, and check it; it is used in this kernel, before any other"
    ),
    Verb(
        "sandbox",
        "sandbox [URL|off] [--fresh]",
        "practise without a key; URL: one on a socket; off: back to Groq; --fresh: begin with an empty store",
    ),
    Verb("forget", "forget NAME", "remove NAME's batch and its answers from this machine"),
    Verb("help", "help", "what %groq_batch --help shows"),
)

# Flags that people type from other tools, and what they are called here.
_OPTION_NEAR_MISSES = {
    "max-completion-tokens": "--max-tokens",
    "temp": "--temperature",
    "skip-missing": "--missing",
    "prompt": "--template",
    "source": "--from",
    "each": "--from",
    "input": "--from",
    "no-widget": "--plain",
    "completion-window": "--window",
    "params": "--extra",
    "block": "--wait",
    **dict.fromkeys(("sync", "direct", "realtime", "real-time", "on-demand", "immediate", "live"), "--now"),
    **dict.fromkeys(("test", "preview", "head", "first", "limit"), "--try"),
    "verbatim": "--raw",
    "reasoning-effort": "--reasoning",
    "response-format": "--schema",
    "json": "--schema",
    "labels": "--schema",
    **dict.fromkeys(("output", "out", "to", "file", "save-to", "export"), "--save"),
    "effort": "--reasoning",
    **dict.fromkeys(("budget", "cost", "max-usd", "max-price"), "--max-cost"),
}

_VERB_NEAR_MISSES = {
    **dict.fromkeys(("status", "list", "ls", "jobs", "ps", "show", "history"), "batches"),
    **dict.fromkeys(("stop", "abort", "kill"), "cancel"),
    **dict.fromkeys(("delete", "rm", "remove", "clear", "drop"), "forget"),
    **dict.fromkeys(("resume", "reattach", "reconnect", "restore", "collect", "fetch", "open"), "attach"),
    **dict.fromkeys(("again", "rerun", "redo", "resend", "repeat"), "retry"),
    **dict.fromkeys(("block", "join", "await", "result", "results"), "wait"),
    **dict.fromkeys(("demo", "offline", "mock", "fake"), "sandbox"),
    **dict.fromkeys(("model",), "models"),
    **dict.fromkeys(("login", "logout", "auth", "apikey", "api_key", "api-key", "token", "keys"), "key"),
    **dict.fromkeys(("options", "usage", "man", "?", "-h", "--help"), "help"),
}

_EXAMPLES = {
    "--model": "--model openai/gpt-oss-20b",
    "--system": '--system "Answer in one word"',
    "--from": "--from df",
    "--id": "--id COLUMN",
    "--template": "--template @name",
    "--missing": "--missing skip",
    "--temperature": "--temperature 0.7",
    "--max-tokens": "--max-tokens 500",
    "--extra": '--extra {"top_p": 0.9}',
    "--schema": '--schema "positive|negative|neutral"',
    "--seed": "--seed 7",
    "--reasoning": "--reasoning low",
    "--take": "--take 2",
    "--samples": "--samples 3",
    "--window": "--window 7d",
    "--max-cost": "--max-cost 20",
    "--try": "--try 5",
    "--save": "--save answers.csv",
}
_LEFT = 28  # characters of the help's left column
_TRIED = 3  # prompts, where --try names no number

DEFAULT_NAME = "answers"
_DASHES = "-–—"  # word processors turn two hyphens into one of the others
_QUOTES = "\"'"
_VARIABLE = re.compile(r"@[^\W\d]\w*\Z")
_COMMENT = "a comment cannot stand on the magic's line: take out everything from `#` on"


def parse(line: str, evaluate: Callable[[str], object]) -> Parsed:
    """What the line of `groq_batch` says. Anything that cannot be meant raises `InputError`, in one line.

    `evaluate(text)` gives the value of a variable's name or of an expression. It is called only after
    the whole line was understood, once for each value that needs it, and not at all with `--help`.
    """
    scan = _Scan(line)
    names: list[str] = []
    given: dict[Option, _Typed] = {}
    while scan.more():
        if scan.here in _DASHES:
            option, glued = _option(scan)
            if option in given:
                raise InputError(f"{option.flag} is given twice: keep one of them")
            given[option] = _typed(scan, option, glued)
        else:
            names.append(scan.word().text)
            if len(names) > 1:
                raise InputError(_two_names(names))
    name = names[0] if names else None
    if any(option.flag == "--help" for option in given):
        return Parsed(name, {"help": True}, None)
    values = {_key(option): _value(option, typed, evaluate) for option, typed in given.items()}
    source = next((typed.text for option, typed in given.items() if option.flag == "--from"), None)
    return Parsed(name, values, source)


def parse_verb(line: str) -> tuple[Verb, list[str]]:
    """The verb of a `%groq` line and the words after it, quotes taken off; `OVERVIEW` for an empty line.

    `--option=value` comes back as two words. An unknown verb raises `InputError` naming the one meant.
    """
    scan = _Scan(line)
    by_name = {verb.name: verb for verb in VERBS}
    if not scan.more():
        return OVERVIEW, []
    typed = scan.word().text
    rest = line[scan.at :].strip()
    words: list[str] = []
    while scan.more():
        word = scan.word()
        flag, equals, value = word.text.partition("=")
        if equals and not word.quoted and flag.startswith("--"):
            words += [flag, value]
        else:
            words.append(word.text)
    if typed in by_name:
        return by_name[typed], words
    raise InputError(_unknown_verb(typed, rest))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None. Dashes in front and upper case do not count."""
    bare = {_bare(each): each for each in known}
    wanted = _bare(word)
    if wanted in bare:
        return bare[wanted]
    longer = [each for each in bare if len(wanted) >= 2 and each.startswith(wanted)]
    if len(longer) == 1:
        return bare[longer[0]]
    close = get_close_matches(wanted, bare, n=1, cutoff=0.75)
    return bare[close[0]] if close else None


def help_text() -> str:
    """The help for `--help` and `?`, as plain text: the forms, the options, the verbs."""
    options = [(_forms(option), option.help) for option in OPTIONS]
    verbs = [(f"%groq {verb.usage}".rstrip(), verb.help) for verb in (OVERVIEW, *VERBS)]
    return "\n".join(
        [
            "%%groq_batch NAME [options]        the body holds the prompts; with --from it is one template",
            "%groq_batch NAME --from EXPR       no body; without NAME it returns the answers",
            "",
            *(_beside(left, right) for left, right in options),
            "",
            *(_beside(left, right) for left, right in verbs),
            "",
            "A text with spaces goes in quotes. @name is the value of a variable: --system @instructions",
        ]
    )


def _beside(left: str, right: str) -> str:
    """What is typed and what it does, side by side; what is typed at length stands above."""
    return f"  {left:<{_LEFT}}  {right}" if len(left) <= _LEFT else f"  {left}\n  {'':<{_LEFT}}  {right}"


def options_markdown() -> str:
    """The README's table of the options, one row each, as Markdown."""
    escaped = [(_forms(option).replace("|", "\\|"), option.help.replace("|", "\\|")) for option in OPTIONS]
    rows = [f"| `{forms}` | {said} |" for forms, said in escaped]
    return "\n".join(["| option | what it does |", "|---|---|", *rows])


# Scanning ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Typed:
    typed: str  # as it stands on the line, with its quotes
    text: str  # without them
    quoted: bool


class _Scan:
    """A place on the line that only moves right."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.at = 0

    @property
    def here(self) -> str:
        """The character at the place, or an empty string at the end."""
        return self.line[self.at : self.at + 1]

    def more(self) -> bool:
        """Skips white space; True if a word follows. A comment raises `InputError`."""
        self.skip()
        if self.here == "#":
            raise InputError(_COMMENT)
        return bool(self.here)

    def skip(self) -> None:
        """Moves to the next character that is not white space."""
        while self.here.isspace():
            self.at += 1

    def until(self, stop: str = "") -> str:
        """The characters up to white space, to one of `stop`, or to the end."""
        start = self.at
        while self.here and not self.here.isspace() and self.here not in stop:
            self.at += 1
        return self.line[start : self.at]

    def word(self) -> _Typed:
        """One word, or one quoted text with its quotes taken off."""
        if self.here and self.here in _QUOTES:
            return self.quoted()
        text = self.until()
        return _Typed(text, text, quoted=False)

    def quoted(self) -> _Typed:
        """A quoted text; a backslash counts only before the same quote. White space must follow."""
        start, quote = self.at, self.here
        end = _closing(self.line, start)
        if end is None:
            raise InputError(
                f"{_clip(self.line[start:])}: the quote is not closed: end the text with {quote}"
            )
        self.at = end + 1
        if self.here and not self.here.isspace():
            raise InputError(
                f"{_clip(self.line[start:])}: text right after the closing quote; "
                f"inside a text the quote is written \\{quote}"
            )
        text = self.line[start + 1 : end].replace(f"\\{quote}", quote)
        return _Typed(self.line[start : self.at], text, quoted=True)


def _closing(line: str, start: int) -> int | None:
    """Where the quote that opens at `start` closes, or None."""
    quote, at = line[start], start + 1
    while at < len(line):
        if line[at] == quote:
            return at
        at += 2 if line.startswith(f"\\{quote}", at) else 1
    return None


def _option(scan: _Scan) -> tuple[Option, bool]:
    """The option that stands here, and whether `=` follows it directly (the `=` is passed over)."""
    word = scan.until(stop="=")
    for option in OPTIONS:
        if word == option.short or word.replace("_", "-") == option.flag:
            break
    else:
        raise InputError(_unknown_option(word))
    glued = scan.here == "="
    scan.at += glued
    return option, glued


def _typed(scan: _Scan, option: Option, glued: bool) -> _Typed:
    """What was typed for the option's value; an empty text for a switch."""
    if option.kind == "switch":
        if glued:
            raise InputError(f"{option.flag} takes no value: type `{option.flag}` alone")
        return _Typed("", "", quoted=False)
    if not glued:
        scan.skip()
    if option.kind == "count" and not glued and not starts_count(scan.line, scan.at):
        return _Typed("", "", quoted=False)
    if not scan.here or scan.here.isspace() or (not glued and _starts_option(scan.line, scan.at)):
        raise InputError(
            f"{option.flag} needs {_wanted(option)}: type `{_EXAMPLES[option.flag]}`"
            + (
                "; a text that begins with - goes in quotes"
                if option.kind == "text" and scan.here == "-"
                else ""
            )
        )
    if option.kind == "expression":
        return _expression(scan, option)
    return scan.word()


def _starts_option(line: str, at: int) -> bool:
    """Whether an option stands here: any word with two dashes, or a known short form."""
    if re.compile(r"--[^\W\d]").match(line, at):
        return True
    word = _Scan(line[at : at + 3]).until(stop="=")
    return any(word == option.short for option in OPTIONS)


def starts_count(line: str, at: int) -> bool:
    """Whether a number stands here, or a variable that holds one: no NAME begins like them."""
    return bool(re.compile(r"[-+]?\d|@").match(line, at))


# Expressions -------------------------------------------------------------------------------------------


def _expression(scan: _Scan, option: Option) -> _Typed:
    """The longest Python expression before the next option, or a quoted text standing alone.

    An option-like word may be inside the expression's strings or brackets, so every place where an option
    could start is tried, nearest first. Where none compiles, words are dropped at the end: a NAME may follow.
    """
    if scan.here == "@":  # as everywhere: the value of a variable
        return scan.word()
    if scan.here in _QUOTES and (end := _closing(scan.line, scan.at)) is not None:
        after = scan.line[end + 1 : end + 2]
        if not after or after.isspace():
            return scan.quoted()
    start = scan.at
    spaces = [match.span() for match in re.compile(r"\s+").finditer(scan.line, start)]
    ends = [left for left, right in spaces if _starts_option(scan.line, right)] + [len(scan.line)]
    for end in ends + [left for end in ends for left, _ in reversed(spaces) if left < end]:
        text = scan.line[start:end].strip()
        if _why_no_expression(text, option) is None:
            if _has_comment(text):
                raise InputError(_COMMENT)
            scan.at = end
            return _Typed(text, text, quoted=False)
    text = scan.line[start : ends[0]].strip()
    if text.startswith("await ") and _why_no_expression(text[6:], option) is None:
        raise InputError(f"{option.flag} {_clip(text)}: leave out `await`, it is awaited for you")
    raise InputError(
        f"{option.flag} {_clip(text)}: not a Python expression ({_why_no_expression(text, option)}); "
        f"type for example `{_EXAMPLES[option.flag]}`"
    )


def _why_no_expression(text: str, option: Option) -> str | None:
    """None if Python can compile the text as an expression, else Python's reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns about odd escapes again when it is evaluated
            compile(text, f"<{option.flag}>", "eval")
    except (SyntaxError, ValueError) as exc:
        return _clip(exc.msg if isinstance(exc, SyntaxError) else str(exc), 120)
    except (RecursionError, MemoryError):
        return "nested too deeply"
    return None


def _has_comment(text: str) -> bool:
    """Whether Python would read a part of the expression as a comment, and so lose what follows."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return any(token.type == tokenize.COMMENT for token in tokens)


# Values ------------------------------------------------------------------------------------------------


def _value(option: Option, typed: _Typed, evaluate: Callable[[str], object]) -> object:
    """The option's value, of the type its kind promises."""
    if option.kind == "switch":
        return True
    if option.kind == "expression":
        if typed.quoted and option.flag == "--from":
            return Path(typed.text)
        if typed.text.startswith("@") and not typed.quoted:
            return _of_variable(option, typed, evaluate)
        return _evaluated(option, typed, typed.typed, evaluate)
    value: object = typed.text
    if option.flag in ("--system", "--template") and not typed.quoted and _holds_text(typed.text, evaluate):
        name = typed.text.strip("${}")
        raise InputError(
            f"{_said(option, typed)}: `{name}` is a variable: its value is {option.flag} @{name}; the word "
            f'itself: {option.flag} "{typed.text}"'
        )
    if not typed.quoted and typed.text.startswith("@"):
        value = _of_variable(option, typed, evaluate)
    if option.kind == "count" and not typed.typed:
        return _TRIED
    if option.kind in ("number", "integer", "count"):
        return _number(option, typed, value)
    if option.flag == "--save" and isinstance(value, Path):
        return str(value)
    if not isinstance(value, str):
        raise InputError(
            f"{_said(option, typed)}: the variable holds {_a(value)}; {option.flag} needs a text"
        )
    if option.kind == "choice" and value not in option.choices:
        allowed = " or ".join(f"`{option.flag} {choice}`" for choice in option.choices)
        raise InputError(f"{option.flag} {_clip(value)}: type {allowed}")
    return checked_model(value) if option.flag == "--model" else value


def _of_variable(option: Option, typed: _Typed, evaluate: Callable[[str], object]) -> object:
    """The value of the variable that `@name` names."""
    if not _VARIABLE.match(typed.text):
        more = "; an expression goes without it"
        if option.kind != "expression":
            more = f'; a text that begins with @ goes in quotes: `{option.flag} "{_clip(typed.text)}"`'
        raise InputError(f"{_said(option, typed)}: @ takes the name of a variable only{more}")
    return _evaluated(option, typed, typed.text[1:], evaluate)


def _holds_text(word: str, evaluate: Callable[[str], object]) -> bool:
    """Whether a word, as IPython would expand it or bare, is the name of a variable that holds a text."""
    if not (name := word.removeprefix("$").removeprefix("{").removesuffix("}")).isidentifier():
        return False
    try:
        return isinstance(evaluate(name), str)
    except Exception:  # there is no such variable
        return False


def _evaluated(option: Option, typed: _Typed, text: str, evaluate: Callable[[str], object]) -> object:
    """What `text` is worth in the notebook; whatever it raises becomes an `InputError`."""
    try:
        return evaluate(text)
    except Exception as exc:
        said = " ".join(str(exc).split())
        if not isinstance(exc, NameError):
            said = f"{type(exc).__name__}: {said}" if said else type(exc).__name__
        if option.flag == "--from" and (Path(text).suffix.lower() in READERS or Path(text).is_file()):
            said += f'; a file goes in quotes: --from "{text}"'
        if option.flag == "--schema" and "|" in text:
            said += f'; labels go in quotes: --schema "{text}"'
        raise InputError(f"{_said(option, typed)}: {_clip(said, 300)}") from exc


def _number(option: Option, typed: _Typed, value: object) -> float | int:
    """The value as a float, or as an int for kind `integer`, within Groq's range."""
    whole = option.kind != "number"
    number: float | int | None = None
    if isinstance(value, str):
        with suppress(ValueError):
            number = int(value) if whole else float(value)
    elif isinstance(value, Integral) and not isinstance(value, bool) and whole:
        number = int(value)
    elif isinstance(value, Real) and not isinstance(value, bool) and not whole:
        with suppress(OverflowError):  # of whole numbers that are too large for a float
            number = float(value)
    else:
        wanted = "a whole number" if whole else "a number"
        raise InputError(
            f"{_said(option, typed)}: the variable holds {_a(value)}; {option.flag} needs {wanted}"
        )
    low, high = RANGES[_key(option)]
    if number is None or not low <= number <= high:
        raise InputError(
            f"{_said(option, typed)}: {option.flag} needs {_wanted(option)}; "
            f"type for example `{_EXAMPLES[option.flag]}`"
        )
    return number


# Words for messages ------------------------------------------------------------------------------------


def _key(option: Option) -> str:
    return option.flag.lstrip("-").replace("-", "_")


def _bare(word: str) -> str:
    return word.lstrip(_DASHES).replace("_", "-").lower()


def _forms(option: Option) -> str:
    names = f"{option.short}, {option.flag}" if option.short else option.flag
    return f"{names} {option.metavar}" if option.metavar else names


def _said(option: Option, typed: _Typed) -> str:
    return f"{option.flag} {_clip(typed.typed)}"


def _wanted(option: Option) -> str:
    """What the option takes, in words."""
    match option.kind:
        case "number":
            low, high = RANGES[_key(option)]
            return f"a number from {low:g} {'on' if high == math.inf else f'to {high:g}'}"
        case "integer" | "count":
            seed = option.flag == "--seed"
            return "a whole number of up to 64 bits" if seed else f"a whole number {span(_key(option))}"
        case "expression":
            return "a Python expression"
        case _:
            return f"a value ({option.metavar})"


def _a(value: object) -> str:
    """The value's type with its article, as in "a list"."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"


def _clip(text: str, limit: int = 60) -> str:
    """The text on one line, shortened to `limit` characters."""
    text = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _unknown_option(word: str) -> str:
    bare = _bare(word)
    meant = _OPTION_NEAR_MISSES.get(bare) or nearest(word, [option.flag for option in OPTIONS])
    if meant is not None:
        return f"unknown option {_clip(word)}: did you mean `{meant}`?"
    return (
        f"unknown option {_clip(word)}: `%groq help` lists the options; "
        "Groq's other parameters go in a dict after `--extra`"
    )


def _two_names(names: list[str]) -> str:
    first, second = (_clip(name) for name in names)
    bare = _bare(second)
    meant = next((option.flag for option in OPTIONS if _bare(option.flag) == bare), None)
    source = f"as the source: `--from {second}`; " if second.isidentifier() else ""
    hint = f"did you mean `{meant}`?" if meant else f"{source}a text with spaces goes in quotes"
    return f"two names, {first} and {second}: {hint}"


def _unknown_verb(typed: str, rest: str) -> str:
    meant = _VERB_NEAR_MISSES.get(typed.lower()) or nearest(typed, [verb.name for verb in VERBS])
    if meant is None:
        return f"unknown verb {_clip(typed)}: `%groq help` lists the verbs"
    keep = rest if next(verb for verb in VERBS if verb.name == meant).takes_words else ""
    return f"unknown verb {_clip(typed)}: type `{f'%groq {meant} {_clip(keep)}'.strip()}`"
