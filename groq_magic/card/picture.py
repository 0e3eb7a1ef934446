"""Snapshot → HTML and text: pure functions, one for each part of the card. All that comes in is escaped.

Colours come from the theme, with fallbacks for both foreground and background; without its styles (an
untrusted notebook, GitHub) each part still reads as plain sentences. No meaning is carried by colour alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from groq_magic import costs
from groq_magic.answers import display
from groq_magic.job import Problem, Snapshot
from groq_magic.prices import money

_SIGNS = {"completed": "✓", "sending": "▲", "not sent": "!", "failed": "!", "expired": "!", "cancelled": "■"}
_IDS_SHOWN = 20
_DIRECT = "On-demand price, twice the batch price."
_TONES = {
    "completed": "ok",
    "not sent": "bad",
    "failed": "bad",
    "expired": "bad",
    "unsure": "bad",
    "cancelled": "rest",
}

STYLE = """<style>
.gm{--gm-ok:#1a7f4b;--gm-bad:#b3261e;--gm-run:#1f5fbf;--gm-rest:#e4e6ea;--gm-soft:#5a5a5a}
[data-jp-theme-light="false"] .gm{--gm-ok:#4cc38a;--gm-bad:#ff8a80;--gm-run:#7fb3ff;--gm-rest:#3a3d42;
--gm-soft:#a8a8a8}
.gm,.gm-card{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.45;
color:var(--jp-ui-font-color1,#1b1b1b)}
.gm-card{background:var(--jp-layout-color1,#fff);border:1px solid var(--jp-border-color2,#d9d9d9);
border-radius:6px;max-width:620px;padding:10px 14px;margin:4px 0;box-sizing:border-box}
.gm-card .widget-html,.gm-card .widget-html-content{line-height:1.45!important;height:auto;margin:0;
overflow:visible;width:100%}
.gm-card .widget-button{flex:none;width:auto}.gm-card .gm-hint{flex:1;margin-left:8px}
.gm-head{display:flex;flex-wrap:wrap;align-items:baseline;gap:2px 8px}
.gm-head b,.gm code{font-family:var(--jp-code-font-family,ui-monospace,monospace)}
.gm-head b{font-size:14px}.gm code{font-size:12px;background:none;color:inherit;padding:0;
overflow-wrap:anywhere}
.gm-soft{color:var(--gm-soft)}.gm-grow{flex:1}
.gm-badge{font-size:11px;border:1px solid var(--jp-border-color1,#8a8a8a);border-radius:9px;padding:0 7px;
white-space:nowrap;color:var(--gm-soft)}.gm-sandbox{border-style:dashed;font-weight:600}
.gm-word{font-weight:600;white-space:nowrap;color:var(--gm-run)}
.gm-ok .gm-word{color:var(--gm-ok)}.gm-bad .gm-word{color:var(--gm-bad)}
.gm progress{display:block;width:100%;height:8px;margin:8px 0 6px;border:0;border-radius:4px;overflow:hidden;
appearance:none;-webkit-appearance:none;background:var(--gm-rest);--gm-fill:var(--gm-run)}
.gm-rest .gm-word{color:var(--gm-soft)}
.gm-ok progress,.gm-bad progress,.gm-rest progress{--gm-fill:var(--gm-ok)}
.gm progress::-webkit-progress-bar{background:var(--gm-rest)}
.gm progress::-webkit-progress-value{background:linear-gradient(90deg,var(--gm-fill) 0 var(--gm-split,100%),
var(--gm-bad) var(--gm-split,100%) 100%)}
.gm progress::-moz-progress-bar{background:linear-gradient(90deg,var(--gm-fill) 0 var(--gm-split,100%),
var(--gm-bad) var(--gm-split,100%) 100%)}
.gm-row{display:flex;flex-wrap:wrap;align-items:center;gap:2px 14px;font-variant-numeric:tabular-nums}
.gm-note{margin:6px 0 0;padding:4px 10px;background:var(--jp-layout-color2,#f3f3f3);
border-left:3px solid var(--gm-bad)}
.gm-told{border-left-color:var(--gm-run)}
.gm table{border-collapse:collapse;width:100%;margin:8px 0 0;font-size:12px;color:inherit;table-layout:fixed}
.gm td{border-top:1px solid var(--jp-border-color2,#d9d9d9);padding:3px 8px 3px 0;text-align:left!important;
vertical-align:top;white-space:normal;overflow-wrap:anywhere;background:none}
.gm details{margin-top:4px}.gm summary{cursor:pointer;color:var(--gm-soft)}
.gm pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:2px 0;font-size:12px;color:inherit;
background:none;max-height:12em;overflow:auto}
.gm-foot{display:flex;flex-wrap:wrap;gap:2px 14px;margin-top:8px;font-size:12px;color:var(--gm-soft)}
.gm-receipt{font-size:12px;color:var(--gm-soft);max-width:620px}
</style>"""


# --- parts of the live card ----------------------------------------------------------------------------


def tone(s: Snapshot) -> str:
    """`ok`, `bad`, `rest` or `run`: which colours the card takes."""
    return _TONES.get(s.status, "ok" if s.done and not s.failed else "run") if s.done else "run"


def head(s: Snapshot) -> str:
    """Name, model, where it goes, the status word."""
    files = f", {s.shards:,} files" if s.shards > 1 else ""
    badge = f'<span class="gm-badge{" gm-sandbox" if s.sandbox else ""}">{escape(s.badge)}</span>'
    sign = _SIGNS.get(s.status, "!" if tone(s) == "bad" else "●")
    word = f'<span class="gm-word">{sign} {escape(_word(s))}</span>'
    return (
        f'<div class="gm gm-{tone(s)}"><div class="gm-head"><b>{escape(s.name)}</b> '
        f'<span class="gm-soft gm-grow">{escape(s.model)} · {_prompts(s)}{files}</span> '
        f"{badge} {word}</div></div>"
    )


def body(s: Snapshot) -> str:
    """The phase in plain words, the bar, the numbers, quiet notes."""
    return (
        f'<div class="gm gm-{tone(s)}">{_say(s)}{_bar(s)}{_numbers(s)}{_times(s)}{_money(s)}{_quiet(s)}'
        f"{_notes(s)}</div>"
    )


def details(s: Snapshot) -> str:
    """What is folded away: the batches' ids and the first prompt as it was sent."""
    ids = "".join(f"<div><code>{escape(found)}</code></div>" for found in s.batch_ids[:_IDS_SHOWN])
    if len(s.batch_ids) > _IDS_SHOWN:
        ids += (
            f"<div>and {len(s.batch_ids) - _IDS_SHOWN:,} more: <code>{escape(s.name)}.batch_ids</code></div>"
        )
    parts = [f"<details><summary>ids</summary>{ids}<div>job <code>{escape(s.job_id)}</code></div></details>"]
    if s.first_prompt:
        parts.append(f"<details><summary>first prompt</summary><pre>{escape(s.first_prompt)}</pre></details>")
    return f'<div class="gm">{"".join(parts)}</div>'


def announcement(s: Snapshot) -> str:
    """What a screen reader is told, at changes of state only."""
    return (
        '<div class="gm" role="status" aria-live="polite" style="position:absolute;width:1px;height:1px;'
        f'overflow:hidden;clip-path:inset(50%)">{escape(s.name)}: {escape(_word(s))}</div>'
    )


def receipt(s: Snapshot) -> str:
    """The line that stays in a notebook saved in mid-batch."""
    parts = [
        f"<code>{escape(s.name)}</code>",
        f"{_prompts(s)} to {escape(s.badge)}",
        f"begun {_when(s.created_at)}",
        f"{escape(_word(s))}",
    ]
    if s.batch_ids:
        more = f" and {len(s.batch_ids) - 1} more" if len(s.batch_ids) > 1 else ""
        parts.append(f"<code>{escape(s.batch_ids[0])}</code>{more}")
    parts.append(f"opened again? {escape(s.go_on) or 'run this cell to go on'}")
    return f'{STYLE}<div class="gm gm-receipt">◷ {" · ".join(parts)}</div>'


# --- the end --------------------------------------------------------------------------------------------


def static(s: Snapshot) -> str:
    """The card for good: what a saved notebook keeps."""
    rows = "".join(
        f'<tr><td style="width:2em">{n}</td><td>{escape(prompt)}</td><td>{escape(answer)}</td></tr>'
        for n, prompt, answer in s.first_answers
    )
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    ids = " ".join(f"<code>{escape(found)}</code>" for found in s.batch_ids[:3])
    more = f" and {len(s.batch_ids) - 3} more" if len(s.batch_ids) > 3 else ""
    foot = f'<div class="gm-foot"><span>{_all_of_them(s)}</span> <span>{ids}{more}</span></div>'
    told = f"{_bar(s)}{_numbers(s)}{_times(s)}{_money(s)}{_notes(s)}"
    middle = f"{told}{_labels(s)}{table}{_problems(s.problems)}"
    return (
        f'{STYLE}<div class="gm-card tex2jax_ignore mathjax_ignore">{head(s)}<div class="gm gm-{tone(s)}">'
        f"{_say(s)}{'' if s.phase == 'not_sent' else middle}{foot}</div></div>"
    )


def _all_of_them(s: Snapshot) -> str:
    if s.phase == "not_sent":
        return "run this cell again when that is mended"
    return f"all of them: <code>{escape(s.name)}.to_pandas()</code>"


def text(s: Snapshot) -> str:
    """The card in plain text, some lines of it: for a terminal, `--plain`, and exports without HTML."""
    lines = [line(s)]
    if said := _said(s):
        lines.append(said)
    lines += [said for said in (_cost(s), *_noted(s)) if said]
    lines += display.label_lines(dict(s.labels))
    problems = () if s.phase == "not_sent" else s.problems[:5]  # there, what stands above says it all
    lines += [f"{p.count:,} × {p.code}: {p.message} (the first: {s.name}[{p.row}])" for p in problems]
    if s.done:
        lines += [f"{n}  {prompt}  →  {answer}" for n, prompt, answer in s.first_answers]
    return "\n".join(lines)


def line(s: Snapshot) -> str:
    """The card on one line."""
    parts = [s.name, f"{_prompts(s)}", s.badge, _word(s)]
    if not s.done or s.phase == "done":
        parts += [f"{s.answered:,} answered", *([f"{s.failed:,} failed"] if s.failed else [])]
        parts += [f"{s.left:,} left"] if s.left else []
        parts += [f"{n:,} {status}" for status, n in _others(s)]
    if s.trouble:
        parts.append(s.trouble)
    return " · ".join(parts)


# --- pieces ---------------------------------------------------------------------------------------------


def _prompts(s: Snapshot) -> str:
    """How many prompts, in words: "1,200 prompts", "5 prompts × 3"."""
    count = s.prompts // s.samples
    return f"{count:,} {'prompt' if count == 1 else 'prompts'}{f' × {s.samples}' if s.samples > 1 else ''}"


def _word(s: Snapshot) -> str:
    word = s.status.replace("_", " ")
    return f"{word}, cancelling" if s.cancelling and not s.done and word != "cancelling" else word


def _said(s: Snapshot) -> str:
    """Phase and meaning as one text."""
    large, small = _sentences(s)
    return f"{large} {small}".strip()


def _sentences(s: Snapshot) -> tuple[str, str]:
    """The phase in large letters, and what it means."""
    where = "In the sandbox" if s.sandbox else "At Groq"
    reused = "".join(f" {said}" for said in (_reused(s), _repeats(s)) if said)
    if s.phase == "not_sent":
        return "Not sent.", f"{s.stopped or ''} Nothing was paid.".strip()
    if s.direct and s.phase == "sending":
        return "Asking now: keep this kernel.", " ".join(filter(None, (_DIRECT, s.pace))) + reused
    if s.phase == "sending":
        sent = f" {s.shards_sent:,} of {s.shards:,} files are sent." if s.shards > 1 else ""
        return "Sending: keep this kernel.", f"{s.meaning}{sent}{reused}"
    if s.phase == "at_groq":
        until = "" if s.sandbox else f"Collect before {_day(s.collect_before)}. "
        return f"{where}: you may close this.", f"{until}{s.meaning}{reused}"
    if s.phase == "collecting":
        return "Collecting the answers.", reused.strip()
    return "", " ".join(filter(None, (s.meaning, _DIRECT * s.direct, reused.strip())))


def _reused(s: Snapshot) -> str:
    """What was not sent now, and what was."""
    if s.not_resent:
        return f"What has no answer could not be asked again. {s.not_resent}"
    if s.again:
        others = s.prompts - s.skipped - s.again
        kept = f"; the other {others:,} stay as they are" if others else ""
        so_far = f" ({s.again_done:,} done so far)" if s.again_done and not s.done else ""
        return f"{s.again:,} {'is' if s.again == 1 else 'are'} asked again{so_far}{kept}."
    if s.reused_from is None:
        return ""
    asked = f"asked for on {_when(s.reused_from or s.created_at)}"
    if s.reused >= s.prompts - s.skipped:
        return f"{asked[:1].upper()}{asked[1:]}; not sent again."
    left = s.prompts - s.reused - s.shared - s.skipped
    them, verb = f"the {s.prompts:,} answers" if s.samples > 1 else "them", "is" if left == 1 else "are"
    return f"{s.reused:,} of {them} were {asked} and are not sent again; {left:,} {verb}."


def _repeats(s: Snapshot) -> str:
    if s.shared:
        return f"{s.shared:,} share the answer of an equal one."
    if not s.repeats or s.reused >= s.prompts - s.skipped:
        return ""
    what = "1 prompt repeats another" if s.repeats == 1 else f"{s.repeats:,} prompts repeat others"
    return f"{what}: --unique sends equal ones once."


def _say(s: Snapshot) -> str:
    large, small = _sentences(s)
    strong = f"<strong>{escape(large)}</strong> " if large else ""
    return f'<div>{strong}<span class="gm-soft">{escape(small)}</span></div>' if large or small else ""


def _bar(s: Snapshot) -> str:
    seen, count = s.answered + s.failed, s.prompts - s.skipped
    split = 100 * s.answered / seen if seen else 100
    return (
        f'<progress max="{count}" value="{min(seen, count)}" style="--gm-split:{split:.1f}%" '
        f'aria-label="{escape(s.name)}: prompts done">{seen:,} of {count:,}</progress>'
    )


def _others(s: Snapshot) -> list[tuple[str, int]]:
    return [
        (status, s.counts[status])
        for status in ("cut", "expired", "cancelled", "missing", "skipped")
        if s.counts.get(status)
    ]


def _numbers(s: Snapshot) -> str:
    parts = [f"<span><b>{s.answered:,}</b> answered</span>"]
    if s.failed:
        parts.append(f"<span><b>{s.failed:,}</b> failed</span>")
    parts += [f"<span><b>{n:,}</b> {status}</span>" for status, n in _others(s)]
    if s.left:
        parts.append(f'<span class="gm-soft"><b>{s.left:,}</b> left</span>')
    return f'<div class="gm-row">{" ".join(parts)}{_sparkline(s.history)}</div>'


def _sparkline(history: Sequence[tuple[float, int]]) -> str:
    """Answers over time, once there is something to see."""
    if len(history) < 3 or history[-1][1] == 0:
        return ""
    (begin, _), (end, most) = history[0], history[-1]
    span = max(end - begin, 1e-9)
    points = " ".join(f"{110 * (at - begin) / span:.0f},{20 - 18 * n / most:.0f}" for at, n in history)
    return (
        '<svg width="110" height="22" viewBox="0 0 110 22" style="margin-left:auto" role="img" '
        f'aria-label="answers over time"><polyline fill="none" stroke="var(--gm-run)" stroke-width="1.5" '
        f'points="{points}"/></svg>'
    )


def _times(s: Snapshot) -> str:
    begun = _when(s.created_at)
    if s.done:
        ended = _when(s.ended_at) if s.ended_at else ""
        if ended[:-5] == begun[:-5]:  # the same day
            ended = ended[-5:]
        said = f"{begun} – {ended}" if ended else f"begun {begun}"
    else:
        expires = f" · expires {_when(s.expires_at)}" if s.expires_at else ""
        checked = time.strftime(" · checked %H:%M:%S", time.localtime(s.checked_at)) if s.checked_at else ""
        said = f"begun {begun}{expires}{checked}"
    return f'<div class="gm-soft">{said}</div>'


def _money(s: Snapshot) -> str:
    said = _cost(s)
    return f'<div class="gm-soft">{escape(said)}</div>' if said else ""


def _cost(s: Snapshot) -> str:
    """What it will cost, or has cost, as a sentence; "" where nothing can be said."""
    said = _paid(s) if s.done else _expected(s)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def _expected(s: Snapshot) -> str:
    if s.estimate is None:
        return ""
    said = costs.in_words(s.estimate, free=s.sandbox, whole=not s.sandbox)
    return said if s.sandbox or not s.estimate.priced else f"{said}{_of_it_now(s)}"


def _paid(s: Snapshot) -> str:
    if s.phase == "not_sent":
        return ""  # the card says already that nothing was paid
    if s.cost is None:
        said = costs.not_known(s.unpriced) if s.unpriced else ""
        return "; ".join(filter(None, ("nothing was paid here" if s.sandbox else "", said)))
    if s.sandbox:
        return f"nothing was paid here; at Groq so many tokens cost {money(s.cost.paid)}"
    if not s.cost.paid:
        return "nothing was paid"
    saved = f", saved {money(s.cost.saved)}" if s.cost.saved else ""
    return f"paid {money(s.cost.paid)}{saved}{_of_it_now(s)}"


def _of_it_now(s: Snapshot) -> str:
    """What of it is charged now, where not all of it is."""
    if s.again:
        usd = None if s.done else s.usd_again
    elif s.reused_from is None:
        usd = None
    else:
        usd = 0.0 if s.reused >= s.prompts - s.skipped else s.usd_now
    return "" if usd is None else f"; {money(usd) if usd else 'none'} of it now"


def _quiet(s: Snapshot) -> str:
    return f'<div class="gm-soft">◔ {escape(s.trouble)}</div>' if s.trouble else ""


def _labels(s: Snapshot) -> str:
    return display.label_bars(dict(s.labels))


def _notes(s: Snapshot) -> str:
    told = "".join(f'<div class="gm-note gm-told">{escape(note)}</div>' for note in s.notes)
    return told + (f'<div class="gm-note">{escape(s.few_tokens)}</div>' if s.few_tokens else "")


def _noted(s: Snapshot) -> tuple[str, ...]:
    """What the user may not expect."""
    return (*s.notes, *([s.few_tokens] if s.few_tokens else []))


def _problems(problems: Sequence[Problem]) -> str:
    """Failures by code, an example of each, and where to look."""
    notes = [
        f'<div class="gm-note"><b>{p.count:,} ×</b> <code>{escape(p.code)}</code> {escape(p.message)} '
        f"The first: row {p.row}.</div>"
        for p in problems[:5]
    ]
    if len(problems) > 5:
        notes.append(f'<div class="gm-note">… and {len(problems) - 5} other kinds of failure</div>')
    return "".join(notes)


def _when(at: float) -> str:
    return time.strftime("%d %b %H:%M", time.localtime(at)).lstrip("0")


def _day(at: float) -> str:
    return time.strftime("%d %b", time.localtime(at)).lstrip("0")
