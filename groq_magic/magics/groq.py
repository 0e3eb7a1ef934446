"""`%groq VERB …`: everything about batches but making them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from IPython.display import display

from groq_magic import client, listing, models, services, standing
from groq_magic.answers import Answers
from groq_magic.errors import InputError, LedgerError
from groq_magic.ledger import Named
from groq_magic.magics import batch, key, options
from groq_magic.magics.progress import interrupt
from groq_magic.settings import limit

if TYPE_CHECKING:
    from groq_magic.magics import GroqMagics


def run(magics: GroqMagics, line: str) -> Any:
    """Does what the line says."""
    verb, words = options.parse_verb(line)
    if verb.name == "retry":  # its options are those of groq_batch, and so is the way to read them
        return _retry(magics, line.strip().removeprefix("retry"))
    return VERBS[verb.name](magics, words)


def greeting(named: Sequence[Named]) -> str:
    """One line on what this notebook has under way or done."""
    try:
        said = ", ".join(f"{entry.name} ({listing.status(entry.job)})" for entry in named[-5:])
        said += f" and {len(named) - 5:,} more" if len(named) > 5 else ""
    except LedgerError as exc:
        return exc.message
    return f"This notebook has: {said}. Take it up again: %groq attach"


def _overview(magics: GroqMagics, words: list[str]) -> None:
    held = {name: answers.job_id for name, answers in _answers(magics).items()}
    display(standing.look(held))


def _models(magics: GroqMagics, words: list[str]) -> None:
    _no_more(words, "models")
    display(models.listed())


def _key(magics: GroqMagics, words: list[str]) -> None:
    if words:
        raise InputError(
            "A key does not stand on the line: it would stay in the notebook and its history. Take it out, "
            "type %groq key alone, and paste it where you are asked."
        )
    with interrupt(lambda: "no key was taken; nothing has changed."):
        print(key.ask())  # noqa: T201


def _help(magics: GroqMagics, words: list[str]) -> None:
    print(options.help_text())  # noqa: T201


def _batches(magics: GroqMagics, words: list[str]) -> None:
    _no_more(words, "batches")
    display(listing.batches())


def _wait(magics: GroqMagics, words: list[str]) -> None:
    timeout = None
    if "--timeout" in words:
        at = words.index("--timeout")
        given = words[at + 1] if at + 1 < len(words) else ""
        try:
            timeout = float(given)
        except ValueError:
            raise InputError(
                f"--timeout takes seconds, not {given!r}: %groq wait NAME --timeout 60"
            ) from None
        words = words[:at] + words[at + 2 :]
    batch.wait(_held(magics, words, "wait"), timeout)


def _cancel(magics: GroqMagics, words: list[str]) -> None:
    anyway = "--anyway" in words
    words = [word for word in words if word != "--anyway"]
    known = len(words) == 1 and words[0] not in magics.ip.user_ns and client.known(words[0])
    answers = client.carry(client.find(words[0])[0], "") if known else _held(magics, words, "cancel")
    name = words[0] if known else answers.name
    if answers.done:
        print(f"{name} has ended already: {answers!r}")  # noqa: T201
        return
    answers.cancel(anyway=anyway)
    print(f"Cancelling {name}; what is answered by then is paid and kept.")  # noqa: T201


def _retry(magics: GroqMagics, line: str) -> None:
    parsed = options.parse(line, magics.ip.ev)
    if other := [key for key in parsed.values if key not in client.CHANGES]:
        flag = f"--{other[0].replace('_', '-')}"
        raise InputError(f"{flag} is not for a retry, which asks the same prompts: {_usage('retry')}")
    answers = _held(magics, [parsed.name] if parsed.name else [], "retry")
    changes = dict(parsed.values)
    bound = limit(changes.pop("max_cost", None), magics.max_cost)
    if client.retry(answers, range(len(answers)), bound=bound, **changes):
        batch.show(magics, answers)
    else:
        cut = f"{len(answers.cut):,} were cut off, and a larger --max-tokens asks for them again"
        why = cut if len(answers.cut) else "every prompt has its answer"
        print(f"Nothing of {answers.name} was sent: {why}.")  # noqa: T201


def _forget(magics: GroqMagics, words: list[str]) -> None:
    answers = _held(magics, words, "forget")
    size = client.forget(answers)
    del magics.ip.user_ns[words[0]]
    print(  # noqa: T201
        f"{words[0]} is forgotten here ({size / 1e6:,.1f} MB). The service keeps its files and batches: "
        "the same prompts find them again and pay nothing; --take 2 asks anew."
    )


def _attach(magics: GroqMagics, words: list[str]) -> None:
    variables = magics.ip.user_ns
    if len(words) > 2:
        raise InputError(f"Too many words: {_usage('attach')}")
    if not words:
        entries = client.named()
        for name in entries:
            batch.check_name(name, variables)
        found = client.attach_all()
        if not found:
            print("This notebook has no batches yet. %groq batches lists those of others.")  # noqa: T201
    else:
        job, name = client.find(words[0])
        name = words[1] if len(words) == 2 else name or options.DEFAULT_NAME
        batch.check_name(name, variables)
        found = [client.carry(job, name)]
    for answers in found:
        variables[answers.name] = answers
        batch.show(magics, answers)


def _sandbox(magics: GroqMagics, words: list[str]) -> None:
    fresh = "--fresh" in words
    words = [word for word in words if word != "--fresh"]
    if len(words) > 1 or (words and words[0].startswith("-")):
        raise InputError(f"Not understood: {' '.join(words)}. {_usage('sandbox')}")
    if words == ["off"]:
        services.use_groq()
        print("The sandbox is off: prompts go to Groq, with your key.")  # noqa: T201
        return
    where = services.use_sandbox(words[0] if words else None, fresh=fresh)
    place = "in this kernel" if where.folder else f"at {where.base_url}"
    print(  # noqa: T201
        f"Prompts go to a sandbox {place} now: no model, no key, no cost. Back to Groq: %groq sandbox off"
    )


VERBS: dict[str, Callable[[GroqMagics, list[str]], Any]] = {
    "": _overview,
    "batches": _batches,
    "wait": _wait,
    "cancel": _cancel,
    "retry": lambda magics, words: _retry(magics, " ".join(words)),
    "attach": _attach,
    "forget": _forget,
    "models": _models,
    "key": _key,
    "sandbox": _sandbox,
    "help": _help,
}


def _usage(verb: str) -> str:
    return f"%groq {next(v.usage for v in options.VERBS if v.name == verb)}"


def _no_more(words: list[str], verb: str) -> None:
    if words:
        raise InputError(f"Not understood: {' '.join(words)}. It is just {_usage(verb)}")


def _held(magics: GroqMagics, words: list[str], verb: str) -> Answers:
    """The Answers in the variable that the words name."""
    variables, names = magics.ip.user_ns, list(_answers(magics))
    if len(words) != 1:
        held = f" You hold: {', '.join(names)}." if names else ""
        raise InputError(f"Which one? {_usage(verb)}.{held}")
    found = variables.get(words[0])
    if not isinstance(found, Answers):
        near = options.nearest(words[0], names)
        hint = f"Did you mean {near}?" if near else "%groq attach brings back what this notebook had."
        raise InputError(f"`{words[0]}` holds no batch. {hint}")
    return found


def _answers(magics: GroqMagics) -> dict[str, Answers]:
    """The variables that hold a batch."""
    named = dict(magics.ip.user_ns).items()
    return {name: value for name, value in named if isinstance(value, Answers) and not name.startswith("_")}
