"""What a card says, in words: a Snapshot → sentences, one line, or the card as plain text. Pure functions."""

from __future__ import annotations

import time

from groq_magic import costs
from groq_magic.answers import display
from groq_magic.card import forecast
from groq_magic.job import NAMELESS, Problem, Snapshot
from groq_magic.prices import money

PROBLEMS_SHOWN = 5
_NAME_SHOWN = 48
_DIRECT = "On-demand price, twice the batch price."
_TOO_EARLY = ", too early to say until when"
_OTHERS = ("expired", "cancelled", "missing", "skipped")
_LAST_HOUR_S = 3_600
_SHORT_S = 100
_VAGUE = 4  # where the far end is so many times as far as the near one, only the near one is said

# --- the whole card -------------------------------------------------------------------------------------


def text(s: Snapshot) -> str:
    """The card in plain text, some lines of it: for a terminal, `--plain`, and exports without HTML."""
    said = [line(s), " ".join(filter(None, sentences(s))), early(s), cost(s), expiry(s), *noted(s)]
    lines = [each for each in said if each]
    lines += display.label_lines(dict(s.labels))
    for p in problems(s):
        lines.append(f"{p.count:,} × {p.code}: {p.message} ({the_first(s, p)})")
        lines += [f"    {remedy(s, p)}"] if remedy(s, p) else []
    lines += [each for each in (more_problems(s), cut_off(s)) if each]
    if s.done:
        lines += [f"{n}  {prompt}  →  {answer}" for n, prompt, answer in s.first_answers]
    return "\n".join(lines)


def line(s: Snapshot, *, brief: bool = False) -> str:
    """The card on one line; `brief` leaves out where it is sent to."""
    parts = [title(s), prompts(s), *([] if brief else [s.badge]), word(s)]
    if s.phase != "not_sent":
        parts += [f"{n:,} {what}" for what, n in counts(s)]
        parts += [left(s).removesuffix(_TOO_EARLY)] if s.left else []
    if s.trouble:
        parts.append(s.trouble)
    return " · ".join(parts)


# --- pieces ---------------------------------------------------------------------------------------------


def title(s: Snapshot) -> str:
    """What it is called: its variable, or the id of a batch that has none."""
    return f"batch {s.job_id}" if s.name == NAMELESS else display.shortened(s.name, _NAME_SHOWN)


def prompts(s: Snapshot) -> str:
    """How many prompts, in words: "1,200 prompts", "5 prompts × 3"."""
    return f"{display.prompts(s.prompts // s.samples)}{f' × {s.samples}' if s.samples > 1 else ''}"


def word(s: Snapshot) -> str:
    """The status, as Groq calls it."""
    said = s.status.replace("_", " ")
    return f"{said}, cancelling" if s.cancelling and not s.done and said != "cancelling" else said


def counts(s: Snapshot) -> list[tuple[str, int]]:
    """How many rows have come to which end, those of which there are some."""
    cut = s.counts.get("cut", 0)
    answered = f"answered ({'all' if cut == s.answered else f'{cut:,}'} cut off)" if cut else "answered"
    rest = [(status, s.counts[status]) for status in _OTHERS if s.counts.get(status)]
    return [(answered, s.answered), *([("failed", s.failed)] if s.failed else []), *rest]


def sentences(s: Snapshot) -> tuple[str, str]:
    """The phase, to be read in large letters, and what it means."""
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
        until = "" if s.sandbox else f"Collect before {day(s.collect_before)}. "
        return f"{where}: you may close this.", f"{until}{s.meaning}{reused}"
    if s.phase == "collecting":
        return "Collecting the answers.", reused.strip()
    asked = s.prompts - s.skipped
    large = f"All {asked:,} answered." if asked > 1 else "Answered." if asked else "Nothing was asked."
    if s.answered < asked:
        large = f"{s.answered:,} of {asked:,} answered."
    return large, " ".join(filter(None, (s.meaning, _DIRECT * s.direct, reused.strip())))


def _reused(s: Snapshot) -> str:
    """What was not sent now, and what was."""
    if s.not_resent:
        return f"What has no answer could not be asked again. {s.not_resent}"
    if s.again:
        rest = s.prompts - s.skipped - s.again
        kept = f"; the other {rest:,} stay as they are" if rest else ""
        so_far = f" ({s.again_done:,} done so far)" if s.again_done and not s.done else ""
        return f"{s.again:,} {'is' if s.again == 1 else 'are'} asked again{so_far}{kept}."
    if s.reused_from is None:
        return ""
    asked = f"asked for on {when(s.reused_from or s.created_at)}"
    if s.reused >= s.prompts - s.skipped:
        return f"{asked[:1].upper()}{asked[1:]}; not sent again."
    rest = s.prompts - s.reused - s.shared - s.skipped
    them, verb = f"the {s.prompts:,} answers" if s.samples > 1 else "them", "is" if rest == 1 else "are"
    return f"{s.reused:,} of {them} were {asked} and are not sent again; {rest:,} {verb}."


def _repeats(s: Snapshot) -> str:
    if s.shared:
        return f"{s.shared:,} share the answer of an equal one."
    if not s.repeats or s.reused >= s.prompts - s.skipped:
        return ""
    what = "1 prompt repeats another" if s.repeats == 1 else f"{s.repeats:,} prompts repeat others"
    return f"{what}: --unique sends equal ones once."


# --- time -----------------------------------------------------------------------------------------------


def left(s: Snapshot) -> str:
    """How many rows are left, and until when that may take, as far as it can be told."""
    said = f"{s.left:,} left"
    if s.phase != "at_groq" or s.status != "in_progress" or s.cancelling:
        return said
    if not s.history or s.history[-1][1] == s.history[0][1]:  # nothing yet that was not there before
        late = "" if s.sandbox else "; large models often start late"
        return said if s.answered + s.failed else f"0 of {s.left:,} so far{late}"
    found = forecast.between(s.history, s.left, s.now)
    if found is None:
        return f"{said}{_TOO_EARLY}"
    near, far = found
    if s.expires_at is not None and near > s.expires_at:
        return f"{said}, not all of them before it expires at this pace"
    soon, late_s = near - s.now, far - s.now
    if late_s < _SHORT_S:
        most, least = round(late_s) or 1, round(soon)
        return f"{said}, about {most} s more" if most - least < 10 else f"{said}, {least} to {most} s more"
    if late_s > _VAGUE * soon:
        return f"{said}, until {_clock(near, s.now)} or later"
    if late_s - soon < max(60, soon / 5):
        return f"{said}, about until {_clock(far, s.now)}"
    return f"{said}, until between {_clock(near, s.now)} and {_clock(far, s.now)}"


def expiry(s: Snapshot) -> str:
    """A warning in the last hour of a batch's window; "" before."""
    if s.done or s.expires_at is None or s.phase != "at_groq" or s.expires_at - s.now > _LAST_HOUR_S:
        return ""
    minutes = int((s.expires_at - s.now) // 60)
    at = _clock(s.expires_at, s.now)
    if minutes < -1:
        return f"The window ended at {at}; what came of it is not told yet. What is answered is kept."
    when_then = f"expires in {minutes} min, at {at}" if minutes > 0 else "expires now"
    return (
        f"The window {when_then}. What is answered by then is kept, and only that is charged; running the "
        "cell again then sends the rest."
    )


def times(s: Snapshot) -> str:
    """When it began, and when it ended or will expire. Local time."""
    begun = when(s.created_at)
    if not s.done:
        expires = f" · expires {when(s.expires_at)}" if s.expires_at else ""
        checked = f" · checked {_local(s.checked_at, '%H:%M')}" if s.checked_at else ""
        return f"begun {begun}{expires}{checked}"
    ended = when(s.ended_at) if s.ended_at else ""
    if ended[:-5] == begun[:-5]:  # the same day
        ended = ended[-5:]
    return f"{begun} – {ended}" if ended else f"begun {begun}"


def when(at: float) -> str:
    """Day and time, as in 3 Nov 14:05; local time."""
    return _local(at, "%d %b %H:%M").lstrip("0")


def day(at: float) -> str:
    """The day, as in 3 Nov; local time."""
    return _local(at, "%d %b").lstrip("0")


def _clock(at: float, now: float) -> str:
    """The time alone where it is within a day."""
    return _local(at, "%H:%M") if at - now < 86_400 / 2 else when(at)


def _local(at: float, form: str) -> str:
    """A moment in local time; "?" for one that no calendar has."""
    try:
        return time.strftime(form, time.localtime(at))
    except (OSError, OverflowError, ValueError):
        return "?"


# --- money ----------------------------------------------------------------------------------------------


def cost(s: Snapshot) -> str:
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
        return "" if s.batch_ids and s.counts.get("missing") else "nothing was paid"
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


# --- what came, and what to do about it -------------------------------------------------------------------


def early(s: Snapshot) -> str:
    """What can be read already, while the rest is under way."""
    if s.done or not s.first_answers or s.readable >= s.prompts:
        return ""
    them = f"The first {s.readable:,} are" if s.readable > 1 else "The first is"
    which = f": `{s.name}[:{s.readable}]`" if _short(s) else ""
    return f"{them} here already{which}"


def after(s: Snapshot) -> str:
    """What to type at the end for all of it."""
    if s.phase == "not_sent":
        return "run this cell again when that is mended"
    return "all of them: `.to_pandas()`" if s.name == NAMELESS else f"all of them: `{s.name}.to_pandas()`"


def noted(s: Snapshot) -> tuple[str, ...]:
    """What the user may not expect."""
    return tuple(display.shortened(each, 400) for each in (*s.notes, s.few_tokens) if each)


def problems(s: Snapshot) -> tuple[Problem, ...]:
    """The failures that are shown; where nothing was sent, what stands above them says it all."""
    return () if s.phase == "not_sent" else s.problems[:PROBLEMS_SHOWN]


def more_problems(s: Snapshot) -> str:
    """How many kinds of failure are not shown; "" where all are."""
    more = len(s.problems) - PROBLEMS_SHOWN
    if more <= 0 or s.phase == "not_sent":
        return ""
    return "… and 1 other kind of failure" if more == 1 else f"… and {more} other kinds of failure"


def the_first(s: Snapshot, p: Problem) -> str:
    """Where the first of these failures is to be looked at."""
    return f"the first: `{s.name}[{p.row}]`" if _short(s) else f"the first: row {p.row}"


def remedy(s: Snapshot, p: Problem) -> str:
    """What to type about failures of one kind; "" where there is nothing to be done."""
    if not s.done:
        return ""
    if p.code == "unsure":
        return ""  # what is known of it stands above
    if p.status in ("expired", "missing") and s.name != NAMELESS:
        longer = " A longer window: `--window 7d`." if p.status == "expired" and s.window == "24h" else ""
        return f"Running the cell again asks for {_them(p.count)} again; what is answered stays.{longer}"
    model = " --model …" if p.code.startswith("model_") else ""
    return f"To ask again: {_retry(s, model)}"


def cut_off(s: Snapshot) -> str:
    """What to type where answers were cut off; "" where none was."""
    count = s.counts.get("cut", 0)
    if not count or not s.done:
        return ""
    most = f" --max-tokens {s.more_tokens}" if s.more_tokens else " --max-tokens …"
    return f"{count:,} cut off at max tokens; what came is kept. For the whole: {_retry(s, most)}"


def _retry(s: Snapshot, options: str) -> str:
    if s.name == NAMELESS:
        return f"`%groq attach {s.job_id} NAME`, then `%groq retry NAME{options}`"
    return f"`%groq retry {s.name}{options}`"


def _short(s: Snapshot) -> bool:
    """Whether it has a name that is fit to be said again and again."""
    return s.name != NAMELESS and len(s.name) <= _NAME_SHOWN and s.name.isprintable()


def _them(count: int) -> str:
    return "it" if count == 1 else f"these {count:,}"
