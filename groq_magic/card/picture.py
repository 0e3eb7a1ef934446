"""Snapshot → HTML: pure functions, one for each part of the card. All that comes in is escaped.

What is said stands in `words`, how it looks in `style`. Without styles (an untrusted notebook, GitHub) each
part still reads as plain sentences. No meaning is carried by colour alone. While a batch runs, no part is
larger than 4 KB, whatever comes in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from html import escape

from groq_magic.answers import display
from groq_magic.card import words
from groq_magic.card.style import STYLE
from groq_magic.job import Problem, Snapshot

_SIGNS = {"completed": "✓", "sending": "▲", "not sent": "!", "failed": "!", "expired": "!", "cancelled": "■"}
_TONES = {
    "completed": "ok",
    "not sent": "bad",
    "failed": "bad",
    "expired": "bad",
    "unsure": "bad",
    "cancelled": "rest",
}
_IDS_SHOWN = 12
_SQUARES = 32
_POINTS = 30
_NOTES_SHOWN = 3
_MOST_BYTES = 3_900  # of a part, as it goes over the line; with what is around it less than 4,096
_SHORTER = (900, 250, 60)  # how long, in bytes, each text from outside may be: the first that makes it fit
_FILES = {"w": "not sent yet", "s": "under way", "d": "done", "x": "without answers"}
_RECEIPT = "font-size:12px;line-height:1.45;max-width:640px;color:var(--jp-ui-font-color2,#5a5a5a)"


# --- parts of the live card ----------------------------------------------------------------------------


def tone(s: Snapshot) -> str:
    """`ok`, `bad`, `rest` or `run`: which colours the card takes."""
    return _TONES.get(s.status, "ok" if s.done and not s.failed else "run") if s.done else "run"


def main(s: Snapshot) -> str:
    """What changes as it goes on: name, place and state, the phase, the bar, the numbers, quiet notes."""

    def of(most: int) -> str:
        moving = f"{_bar(s)}{_numbers(s)}{_files(s)}{_times(s)}"
        told = f"{_say(s, most)}{moving}{_money(s, most)}{_quiet(s, most)}{_notes(s, most)}"
        return f'<div class="gm gm-{tone(s)}">{_head(s, most)}{told}</div>'

    return _small(of)


def found(s: Snapshot) -> str:
    """What has come so far: the first answers, and failures by code."""
    if not (s.first_answers or s.problems):
        return ""
    said = f'<div class="gm-soft gm-came">{_code(words.early(s))}</div>' if words.early(s) else ""
    return _small(
        lambda most: f'<div class="gm gm-{tone(s)}">{said}{_answers(s, most)}{_problems(s, most)}</div>'
    )


def details(s: Snapshot) -> str:
    """What is folded away: the batches' ids and the first prompt as it was sent."""
    return _small(lambda most: _details(s, 2 * most))


def _details(s: Snapshot, most: int) -> str:
    ids = "".join(f"<div><code>{_cut(each, 80)}</code></div>" for each in s.batch_ids[:_IDS_SHOWN])
    if len(s.batch_ids) > _IDS_SHOWN:
        more = (
            f"and {len(s.batch_ids) - _IDS_SHOWN:,} more: <code>{_cut(words.title(s), 200)}.batch_ids</code>"
        )
        ids += f"<div>{more}</div>"
    job = f"<div>job <code>{_cut(s.job_id, 80)}</code></div>"
    parts = [f"<details><summary>ids</summary>{ids}{job}</details>"]
    if s.first_prompt:
        prompt = _cut(s.first_prompt, most)
        parts.append(f"<details><summary>first prompt</summary><pre>{prompt}</pre></details>")
    return f'<div class="gm">{"".join(parts)}</div>'


def announcement(s: Snapshot) -> str:
    """What a screen reader is told, at changes of state only."""
    return (
        '<div class="gm" role="status" aria-live="polite" style="position:absolute;width:1px;height:1px;'
        f'overflow:hidden;clip-path:inset(50%)">{_cut(words.title(s), 300)}: {_cut(words.word(s), 300)}</div>'
    )


def receipt(s: Snapshot) -> str:
    """The line that stays in a notebook saved in mid-batch."""
    code = '<code style="background:none;color:inherit;padding:0">'
    parts = [
        f"{code}{_cut(words.title(s), 300)}</code>",
        f"{words.prompts(s)} to {_cut(s.badge, 200)}",
        f"begun {words.when(s.created_at)}",
        _cut(words.word(s), 300),
    ]
    if s.batch_ids:
        more = f" and {len(s.batch_ids) - 1} more" if len(s.batch_ids) > 1 else ""
        parts.append(f"{code}{_cut(s.batch_ids[0], 200)}</code>{more}")
    go_on = _cut(s.go_on, 300) or "run this cell to go on"
    parts.append(f"opened again without its kernel? The card below is gone with it: {go_on}")
    return f'<div class="gm-receipt" style="{_RECEIPT}">◷ {" · ".join(parts)}</div>'


# --- the end --------------------------------------------------------------------------------------------


def static(s: Snapshot) -> str:
    """The card for good: what a saved notebook keeps."""
    ids = " ".join(f"<code>{_cut(each, 200)}</code>" for each in s.batch_ids[:3])
    more = f" and {len(s.batch_ids) - 3} more" if len(s.batch_ids) > 3 else ""
    ids = f"<span>id {ids}{more}</span>" if ids else ""
    foot = f'<div class="gm-foot"><span>{_code(words.after(s))}</span> {ids}</div>'
    told = f"{_bar(s)}{_numbers(s)}{_files(s)}{_times(s)}{_money(s)}{_notes(s)}"
    middle = f"{told}{display.label_bars(dict(s.labels))}{_answers(s)}{_problems(s)}"
    return (
        f'<div class="gm-card tex2jax_ignore mathjax_ignore"><div class="gm gm-{tone(s)}">'
        f"{_head(s)}{_say(s)}{'' if s.phase == 'not_sent' else middle}{foot}</div>{STYLE}</div>"
    )


# --- pieces ---------------------------------------------------------------------------------------------


def _small(of: Callable[[int], str]) -> str:
    """A part with its texts as long as may be."""
    for most in _SHORTER:
        html = of(most)
        if len(json.dumps(html, ensure_ascii=False).encode(errors="replace")) <= _MOST_BYTES:
            break
    return html


def _head(s: Snapshot, most: int = 10_000) -> str:
    """Name, model, where it goes, the status word."""
    files = f", {s.shards:,} files" if s.shards > 1 else ""
    badge = f'<span class="gm-badge{" gm-sandbox" if s.sandbox else ""}">{_cut(s.badge, most)}</span>'
    sign = _SIGNS.get(s.status, "!" if tone(s) == "bad" else "●")
    word = f'<span class="gm-word"><span class="gm-sign">{sign}</span> {_cut(words.word(s), most)}</span>'
    return (
        f'<div class="gm-head"><b>{_cut(words.title(s), most)}</b> '
        f'<span class="gm-soft gm-grow">{_cut(s.model, most)} · {words.prompts(s)}{files}</span> '
        f"{badge} {word}</div>"
    )


def _say(s: Snapshot, most: int = 10_000) -> str:
    large, small = words.sentences(s)
    told = f'<div class="gm-large">{escape(large)}</div>' if large else ""
    return told + (f'<div class="gm-soft">{_cut(small, most)}</div>' if small else "")


def _bar(s: Snapshot) -> str:
    seen, count = s.answered + s.failed, s.prompts - s.skipped
    split = 100 * s.answered / seen if seen else 100
    return (
        f'<progress max="{count}" value="{min(seen, count)}" style="--gm-split:{split:.1f}%" '
        f'aria-label="{_cut(words.title(s), 150)}: prompts done">{seen:,} of {count:,}</progress>'
    )


def _numbers(s: Snapshot) -> str:
    parts = [f"<span><b>{n:,}</b> {what}</span>" for what, n in words.counts(s)]
    if s.left:
        parts.append(f'<span class="gm-soft">{words.left(s)}</span>')
    return f'<div class="gm-row">{" ".join(parts)}{_sparkline(s.history)}</div>'


def _sparkline(history: Sequence[tuple[float, int]]) -> str:
    """What was done over time, once there is something to see."""
    if len(history) < 3 or history[-1][1] == history[0][1]:
        return ""
    (begin, least), (end, most) = history[0], history[-1]
    every = -(-len(history) // _POINTS)
    history = [*history[:-1][::every], history[-1]]
    span, rise = max(end - begin, 1e-9), most - least
    points = " ".join(
        f"{110 * (at - begin) / span:.0f},{20 - 18 * (n - least) / rise:.0f}" for at, n in history
    )
    return (
        '<svg width="110" height="22" viewBox="0 0 110 22" role="img" aria-label="answers over time">'
        f'<polyline fill="none" stroke="var(--gm-run)" stroke-width="1.5" points="{points}"/></svg>'
    )


def _files(s: Snapshot) -> str:
    """A square for each file; of very many, for several of them in order, the one that is least far."""
    if len(s.files) < 2:
        return ""
    each = -(-len(s.files) // _SQUARES)
    order = "".join(_FILES)
    shown = [min(s.files[n : n + each], key=order.index) for n in range(0, len(s.files), each)]
    squares = "".join("<i></i>" if state == "w" else f'<i class="gm-{state}"></i>' for state in shown)
    told = ", ".join(f"{s.files.count(k):,} {what}" for k, what in _FILES.items() if k in s.files)
    return f'<div class="gm-files" role="img" aria-label="files: {told}">{squares}</div>'


def _times(s: Snapshot) -> str:
    warning = f'<div class="gm-note">{escape(words.expiry(s))}</div>' if words.expiry(s) else ""
    return f'<div class="gm-soft">{words.times(s)}</div>{warning}'


def _money(s: Snapshot, most: int = 10_000) -> str:
    return f'<div class="gm-soft">{_cut(words.cost(s), most)}</div>' if words.cost(s) else ""


def _quiet(s: Snapshot, most: int) -> str:
    return f'<div class="gm-soft">◔ {_cut(s.trouble, most)}</div>' if s.trouble else ""


def _notes(s: Snapshot, most: int = 10_000) -> str:
    shown = s.notes[:_NOTES_SHOWN]
    told = "".join(f'<div class="gm-note gm-told">{_cut(note, most)}</div>' for note in shown)
    return told + (f'<div class="gm-note">{_cut(s.few_tokens, most)}</div>' if s.few_tokens else "")


def _answers(s: Snapshot, most: int = 10_000) -> str:
    rows = "".join(
        f'<tr><td style="width:2em">{n}</td><td>{_cut(prompt, most)}</td><td>{_cut(answer, most)}</td></tr>'
        for n, prompt, answer in s.first_answers
    )
    return f"<table><tbody>{rows}</tbody></table>" if rows else ""


def _problems(s: Snapshot, most: int = 10_000) -> str:
    """Failures by code: an example of each, where to look, what to type."""
    notes = [_problem(s, p, most) for p in words.problems(s)]
    notes += [
        f'<div class="gm-note">{_code(said)}</div>'
        for said in (words.more_problems(s), words.cut_off(s))
        if said
    ]
    return "".join(notes)


def _problem(s: Snapshot, p: Problem, most: int) -> str:
    remedy = f"<div>{_code(words.remedy(s, p))}</div>" if words.remedy(s, p) else ""
    first, code = words.the_first(s, p), f"<code>{_cut(p.code, most)}</code>"
    wanted = " gm-told" if p.status == "cancelled" else ""  # it is no failure
    return (
        f'<div class="gm-note{wanted}"><b>{p.count:,} ×</b> {code} {_cut(p.message, most)} '
        f"{_code(first[:1].upper() + first[1:])}.{remedy}</div>"
    )


def _code(said: str) -> str:
    """A sentence of ours as HTML: what stands in backticks is to be typed."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(display.CONTROL.sub(" ", said)))


def _cut(text: str, most: int) -> str:
    """The text as HTML of at most so many bytes: what is too long ends in an ellipsis."""
    html: list[str] = []
    size = 0
    for letter in display.CONTROL.sub(" ", text[: most + 1]):
        part = escape(letter)
        size += len(part.encode(errors="replace"))
        if size > most:
            return "".join(html).rstrip() + "…"
        html.append(part)
    return "".join(html)
