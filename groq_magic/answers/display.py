"""How answers look: a status line, and a table with failures first. Everything from outside is escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from groq_magic import wire

if TYPE_CHECKING:
    from groq_magic.answers.answers import Answer, Answers
    from groq_magic.schema import Schema

_SHOWN = 20
# Escape sequences of a terminal and their like: shown, they would act.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PROMPT_WIDTH, _TEXT_WIDTH = 60, 160


def shortened(text: str, width: int) -> str:
    """The text on one line of at most `width` characters."""
    line = " ".join(CONTROL.sub(" ", text[: 4 * width]).split())
    return line if len(line) <= width and len(text) <= 4 * width else line[: width - 1].rstrip() + "…"


def prompt_of(request: wire.Request) -> str | list[dict[str, Any]]:
    """What the user asked: the text of a lone user message (a system message aside), else the messages."""
    messages = request.body.get("messages")
    if not isinstance(messages, list):  # another endpoint's: what was to be heard or read
        return str(request.body.get("url") or request.body.get("input") or "")
    messages = [message for message in messages if isinstance(message, dict)]
    asked = [message for message in messages if message.get("role") != "system"]
    if len(asked) == 1 and asked[0].get("role") == "user" and isinstance(asked[0].get("content"), str):
        text: str = asked[0]["content"]
        return text
    return list(messages)


def prompt_line(prompt: str | list[dict[str, Any]] | None, width: int = _PROMPT_WIDTH) -> str:
    """What was asked, on one line; of a conversation its last text; "" where nothing was."""
    if prompt is None:
        return ""
    if isinstance(prompt, str):
        return shortened(prompt, width)
    texts = [m["content"] for m in prompt if isinstance(m.get("content"), str)]
    return shortened(texts[-1] if texts else "(a conversation)", width)


def prompts(count: int) -> str:
    """How many prompts, in words: "1 prompt", "1,200 prompts"."""
    return "1 prompt" if count == 1 else f"{count:,} prompts"


def answer_line(answer: Answer) -> str:
    """`<Answer 3 ok: Because the sky …>`."""
    if answer.error is not None:
        said = shortened(str(answer.error), 80)
    else:
        said = "" if answer.status == "pending" else shortened(said_of(answer), 80)
    return f"<Answer {_place(answer)} {answer.status}{f': {said}' if said else ''}>"


def said_of(answer: Answer) -> str:
    """What was answered, for people: of labels the label, else the text as it came."""
    return in_words(answer._schema, answer.text or "", answer.status == "ok")


def in_words(schema: Schema | None, text: str, fits: bool) -> str:
    """A reply's text for people: of one that chose among labels the label."""
    if schema is None or not schema.labels or not fits:
        return text
    return schema.labels[schema.place(text)]


def _place(answer: Answer) -> str:
    """Which prompt, and which of its samples: "3", "3~2"."""
    return str(answer.index) if answer.sample == 1 else f"{answer.index}~{answer.sample}"


def status_line(answers: Answers) -> str:
    """`<Answers 'answers': 1,204 prompts, completed: 1,200 ok, 4 failed>`."""
    counts = ", ".join(f"{n:,} {status}" for status, n in answers.counts.items())
    how = f"{answers.status}{f': {counts}' if counts else ''}"
    return f"<Answers {answers.name!r}: {prompts(len(answers))}, {how}>"


def _picked(answers: Answers) -> list[Answer]:
    """At most twenty answers: failures first, then the rest in order."""
    first = list(answers.failed[:_SHOWN])
    for answer in answers:
        if len(first) >= min(_SHOWN, len(answers)):
            break
        if answer.status in ("ok", "cut", "pending", "skipped"):
            first.append(answer)
    return first


def _cells(answer: Answer) -> tuple[str, str, str, str]:
    if answer.error is not None:
        said = shortened(str(answer.error), _TEXT_WIDTH)
    else:
        said = "…" if answer.status == "pending" else shortened(said_of(answer), _TEXT_WIDTH)
    return _place(answer), answer.status, prompt_line(answer.prompt), said


def table_text(answers: Answers) -> str:
    """The table as plain text, for a terminal."""
    if answers._rows.not_sent is not None:
        return f"{status_line(answers)}\n{answers._rows.not_sent}"
    lines = [status_line(answers), *label_lines(answers._label_counts())]
    for index, status, prompt, said in map(_cells, _picked(answers)):
        lines.append(f"{index:>5}  {status:<9} {shortened(prompt, 40):<40}  {shortened(said, 60)}")
    if len(answers) > _SHOWN:
        lines.append(f"   …  {len(answers) - _SHOWN:,} more")
    return "\n".join(lines)


def label_lines(counts: Mapping[str, int]) -> list[str]:
    """Labels as plain text, the most frequent first, each with its count and a bar."""
    shown = _most(counts)
    width = max((len(label) for label, _ in shown), default=0)
    most = max((n for _, n in shown), default=1) or 1
    lines = [f"  {label:<{width}}  {'█' * round(30 * n / most)}{' ' * bool(n)}{n:,}" for label, n in shown]
    return [*lines, *([f"  … {len(counts) - len(shown):,} more labels"] if len(counts) > len(shown) else [])]


def label_bars(counts: Mapping[str, int]) -> str:
    """The same as HTML, whose bars are progress elements: they need no style, and speak for themselves."""
    shown = _most(counts)
    most = max((n for _, n in shown), default=1) or 1
    rows = "".join(
        f'<tr><td style="text-align:left;vertical-align:middle;width:14em">{escape(label)}</td>'
        f'<td><progress max="{most}" value="{n}" aria-label="{escape(label)}"></progress></td>'
        f'<td style="text-align:right;vertical-align:middle;width:5em">{n:,}</td></tr>'
        for label, n in shown
    )
    more = f"<p>… {len(counts) - len(shown):,} more labels</p>" if len(counts) > len(shown) else ""
    return (
        f'<table class="tex2jax_ignore mathjax_ignore"><tbody>{rows}</tbody></table>{more}' if shown else ""
    )


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    found = sorted(counts.items(), key=lambda pair: -pair[1])[:_SHOWN]
    return [(shortened(label, 40), n) for label, n in found]


def table_html(answers: Answers) -> str:
    """The table as HTML that reads well with and without its styles."""
    head = f"<p><code>{escape(status_line(answers))}</code></p>"
    if answers._rows.not_sent is not None:
        return f"{head}<p>{escape(answers._rows.not_sent)}</p>"
    rows = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in _cells(answer))
        + "</tr>"
        for answer in _picked(answers)
    )
    more = (
        f"<p>… {len(answers) - _SHOWN:,} more: <code>.to_pandas()</code></p>" if len(answers) > _SHOWN else ""
    )
    return (
        f"{head}{label_bars(answers._label_counts())}"
        f'<table class="tex2jax_ignore mathjax_ignore"><thead><tr><th>#</th><th>status</th>'
        f'<th style="text-align:left">prompt</th><th style="text-align:left">answer</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{more}"
    )
