"""`%%groq_batch NAME …` and `%groq_batch NAME --from …`: from a cell to an Answers in a variable."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from IPython.display import display

from groq_magic import client, costs, prompts
from groq_magic.answers import Answers, saved
from groq_magic.client import Plan
from groq_magic.errors import InputError
from groq_magic.magics import options
from groq_magic.magics.options import DEFAULT_NAME
from groq_magic.magics.progress import Progress, interrupt
from groq_magic.prices import money
from groq_magic.prompts import Prompts
from groq_magic.schema import schema_of
from groq_magic.settings import BODY_OPTIONS, Settings, body_options, limit, response_format

if TYPE_CHECKING:
    from groq_magic.magics import GroqMagics

_USED_UP = " The source was read for this: make it anew."

_NOT_TOGETHER = (
    ("now", "window", "asks at once, and has no"),
    ("try", "now", "asks only the first few, in place of"),
    ("try", "dry_run", "asks the first few, and nothing is asked with"),
)

_WITH_FROM = {
    "id": "a cell's own prompts have no columns",
    "template": "without it the body is the prompts",
    "missing": "a cell's own prompts have no rows",
}


def run(magics: GroqMagics, line: str, cell: str | None) -> Answers | None:
    """What the magic does; the Answers where it is to be the line's value."""
    line, cell = _joined(line, cell)
    parsed = options.parse(line, magics.ip.ev)
    given = parsed.values
    if given.get("help"):
        print(options.help_text())  # noqa: T201 (what was asked for)
        return None
    _check_together(given)
    name = parsed.name or (DEFAULT_NAME if cell is not None else None)
    if name is not None:
        check_name(name, magics.ip.user_ns)
    at_once = "now" in given or "try" in given  # with --try, a window is the full run's
    model = str(given.get("model", magics.model))
    schema = schema_of(given["schema"]) if "schema" in given else None
    settings = Settings(
        model=model,
        window="24h" if at_once else str(given.get("window", "24h")),
        options=body_options(
            **{name: given.get(name) for name in BODY_OPTIONS}, response_format=response_format(schema, model)
        ),
        shard_rows=magics.shard_rows,
        take=given.get("take", 1),
        samples=given.get("samples", 1),
        unique=bool(given.get("unique")),
        schema=schema,
        limit=limit(given.get("max_cost"), magics.max_cost),
        now=at_once,
        save=saved.place(given["save"]) if "save" in given else None,
    )

    bound: list[Answers] = []

    def bind(answers: Answers) -> None:
        bound.append(answers)
        if name is not None:
            magics.ip.user_ns[name] = answers

    def stopped() -> str:
        if bound:
            return "the prompts are put down and on their way; run the cell again to watch them."
        return f"nothing was sent, and `{name}` is as it was." if name else "nothing was sent."

    live = getattr(magics.ip, "kernel", None) is not None
    with interrupt(stopped):
        with Progress(live=live) as progress:
            asked = _prompts(parsed, cell, magics, settings.options or (), progress)
            if given.get("dry_run"):
                plan = client.plan(asked, settings, progress)
            elif "try" in given:
                few = prompts.first(asked, given["try"])
                answers = client.send(few, settings, name="", tick=progress, keep=False)
            else:
                answers = client.send(
                    asked,
                    settings,
                    name=name or "",
                    bind=bind,
                    tick=progress,
                    before=_held(magics.ip.user_ns, name),
                    cancel_before=bool(given.get("replace")),
                )
        if given.get("dry_run"):
            print(_planned(plan))  # noqa: T201
            return None
    if "try" in given:
        _try(answers, used_up=not asked.again)
        return None
    show(magics, answers, plain=bool(given.get("plain")), waits=bool(given.get("wait")))
    if given.get("wait"):
        wait(answers)
    return answers if name is None else None


def _held(variables: dict[str, Any], name: str | None) -> Answers | None:
    """What the name stands for so far, if that is Answers."""
    found = variables.get(name) if name else None
    return found if isinstance(found, Answers) else None


def _check_together(given: Mapping[str, Any]) -> None:
    """Raises InputError for options that cannot be meant together."""
    for flag, other, why in _NOT_TOGETHER:
        if flag in given and other in given:
            said = f"--{flag.replace('_', '-')} {why} --{other.replace('_', '-')}"
            raise InputError(f"{said}: leave one of them out.")


def _try(answers: Answers, *, used_up: bool) -> None:
    """Waits for the first few, shows them, and says what they used."""
    begun = client.look(answers)
    go_on = "only the waiting has stopped; the prompts are still asked, and the full run reuses them."
    with interrupt(lambda: go_on):
        answers.wait()
    display(answers)
    tokens, cost = answers.usage.total_tokens, answers.cost
    price = f" at on-demand price{f' ({money(cost.paid)})' if cost and cost.paid else ''}"
    used = f"They used {costs.of_tokens(tokens)}"
    said = f"{used}{', and nothing is paid in the sandbox' if begun.sandbox else price}"
    if begun.reused == len(answers):
        said = "They were asked before: nothing was sent now"
    more = f"; the full run reuses them. Nothing was bound.{_USED_UP if used_up else ''}"
    print(said + more)  # noqa: T201 (what the answers do not say of themselves)


def wait(answers: Answers, timeout: float | None = None) -> None:
    """Waits for the end, in a cell; an interrupt stops only the waiting, and says so."""
    go_on = f"only the waiting has stopped; the batch goes on. Again: %groq wait {answers.name}"
    with interrupt(lambda: go_on):
        answers.wait(timeout)


def _joined(line: str, cell: str | None) -> tuple[str, str | None]:
    """The magic's line with the lines that a trailing backslash continues it on."""
    while cell is not None and line.rstrip().endswith("\\"):
        more, _, cell = cell.partition("\n")
        line = line.rstrip()[:-1] + " " + more
    return line, cell


def _check_body(cell: str | None) -> None:
    """Raises InputError for a body that begins with what was meant for the magic's line."""
    first = next((line.split() for line in (cell or "").split("\n") if line.strip()), [""])
    if any(first[0].partition("=")[0] in (option.flag, option.short) for option in options.OPTIONS):
        raise InputError(
            f"The body begins with {first[0]}: options stand on the magic's line, which a \\ at its end "
            "continues on the next."
        )


def _prompts(
    parsed: options.Parsed,
    cell: str | None,
    magics: GroqMagics,
    body: Collection[str],
    tick: Callable[[int], None],
) -> Prompts:
    """The prompts of the cell or of its source; `body` are the fields of Groq's that its options set."""
    _check_body(cell)
    given, variables = parsed.values, magics.ip.user_ns
    raw, system = bool(given.get("raw")), given.get("system")
    if "from" not in given:
        if cell is None:
            raise InputError(
                "No prompts: put them in the cell under %%groq_batch NAME, "
                "or name them: %groq_batch NAME --from df"
            )
        for flag, why in _WITH_FROM.items():
            if flag in given:
                raise InputError(f"--{flag} goes with --from: {why}.")
        return prompts.from_body(
            cell, lines=bool(given.get("lines")), raw=raw, variables=variables, system=system
        )
    if given.get("lines"):
        raise InputError("--lines goes with prompts in the cell; with --from the body is one template.")
    written = cell.strip("\n") if cell is not None and cell.strip() else None
    if written is not None and "template" in given:
        raise InputError("There are two templates, --template and the body: keep one of them.")
    return prompts.from_source(
        given["from"],
        template=given.get("template", written),
        raw=raw,
        id_column=given.get("id"),
        variables=variables,
        system=system,
        model=given.get("model"),
        options=body,
        missing=given.get("missing", "error"),
        max_prompts=magics.max_prompts,
        named=parsed.source_text or "the source",
        tick=tick,
    )


def check_name(name: str, variables: dict[str, Any]) -> None:
    """Raises InputError where NAME cannot be filled without harm."""
    if not name.isidentifier():
        raise InputError(f"{name!r} is no variable name: letters, digits and _, not beginning with a digit.")
    if keyword.iskeyword(name) or hasattr(builtins, name):
        raise InputError(f"{name!r} is a word of Python itself: choose another name.")
    if name in variables and not isinstance(variables[name], Answers):
        raise InputError(
            f"`{name}` is {_what(variables[name])} and is not overwritten. As the source: `--from {name}`; "
            f"else choose another name, or `del {name}` first."
        )


def _what(value: object) -> str:
    kind = type(value).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and all(isinstance(n, int) for n in shape):
        return f"{article} {kind} ({' × '.join(f'{n:,}' for n in shape)})"
    size = f" ({len(value):,})" if isinstance(value, list | tuple | dict | set | str) else ""
    return f"{article} {kind}{size}"


def _planned(plan: Plan) -> str:
    files = "1 file" if plan.shards == 1 else f"{plan.shards:,} files"
    what = "Would send nothing"
    if plan.prompts:
        what = (
            f"Would send {plan.prompts:,} {'prompt' if plan.prompts == 1 else 'prompts'} in {files} "
            f"({plan.bytes:,} bytes, very roughly {costs.of_tokens(plan.tokens)}) to {plan.model} at "
            f"{plan.place}; {plan.settings}"
        )
    were = "was asked before and is" if plan.reused == 1 else "were asked before and are"
    reused = f" {plan.reused:,} {were} not sent again." if plan.reused else ""
    held = "answer" if plan.read == 1 else "answers"
    read = f" {plan.read:,} {held} would be read from {plan.saved}." if plan.read else ""
    repeats = f" {plan.repeats:,} repeat another and share its answer." if plan.repeats else ""
    many = "misses a value" if plan.skipped == 1 else "miss a value"
    skipped = f" {plan.skipped:,} {many} and would be skipped." if plan.skipped else ""
    used_up = _USED_UP if plan.used_up else ""
    first = f"\nThe first one:\n{plan.first}" if plan.prompts else ""
    nothing = "Nothing was sent."
    return f"{what}.{reused}{read}{repeats}{skipped} {nothing}{used_up}{_at_what_cost(plan)}{first}"


def _at_what_cost(plan: Plan) -> str:
    """The cost in sentences on lines of their own; nothing where nothing would be sent."""
    if not plan.prompts:
        return ""
    if plan.refused:
        return f"\n{plan.refused}"
    said = costs.in_words(plan.estimate, free=plan.free)
    return "".join(f"\n{each}" for each in (f"Cost: {said}.", plan.few_tokens) if each)


def show(magics: GroqMagics, answers: Answers, *, plain: bool = False, waits: bool = False) -> None:
    """Shows the batch in this cell: a live card, or text in a terminal and with `--plain`.

    In a terminal, whoever `waits` for it next sees it then.
    """
    from groq_magic.card.line import PlainCard, TerminalLine

    if getattr(magics.ip, "kernel", None) is None:
        line = TerminalLine(answers)
        client.watch(answers, line)
        if not waits:
            line.begin()
    elif plain:
        client.watch(answers, PlainCard())
    else:
        from groq_magic.card.widget import Card

        client.watch(answers, Card(answers))
    answers.beside_card = True
    magics.beside.append(answers)
