"""Money from end to end: what a submission is estimated at, what a limit stops, what was paid at its end.

The sandbox goes by Groq's name here, so that its answers have a price. It counts a token for every four
characters; what it answers is echoed, and no reasoning is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic import client, costs, estimates, keys, ledger, prompts, runs, services
from groq_magic.answers import Answers
from groq_magic.costs import Limit
from groq_magic.errors import InputError
from groq_magic.settings import Settings
from tests.line import (
    MODELS,
    POLL,
    UPLOAD,
    WAIT_S,
    Line,
    forget,
    last,
    line,
    long_ago,
    lost,
    no_late_files,
    pauses,
    refuses,
    sent,
    stranded,
    submit,
)
from tests.line import Seen as Observed
from tests.test_sources_sent import MIXED, echoing

__all__ = ["line", "long_ago", "no_late_files", "pauses"]  # fixtures

OSS, BIG = "openai/gpt-oss-20b", "openai/gpt-oss-120b"
PLAIN = {"include_reasoning": False}


@pytest.fixture
def groq(line: Line) -> Line:
    """The line to a sandbox that goes by Groq's name: what it answers is paid."""
    services._chosen = replace(services.current(), id=keys.GROQ, base_url=keys.GROQ)
    return line


def again_at_groq() -> None:
    """A new process, whose prompts go to the same place."""
    service = services._chosen
    forget()
    services._chosen = service


def tens(count: int, first: int = 0) -> list[str]:
    """Prompts of 12 tokens, each answered by 10."""
    return [f"[[echo]]{n:040}" for n in range(first, first + count)]


def ask(*asked: str, usd: float | None = None, **how: Any) -> Answers:
    """These prompts, sent with a limit of so many USD, if any."""
    limit = Limit() if usd is None else Limit(usd, typed=True)
    return submit(*asked, options=how.pop("options", PLAIN), limit=limit, **how)


def about(usd: float) -> Any:
    """This figure, computed by hand, but for the last bits of a float."""
    return pytest.approx(usd, rel=1e-9)


def nothing_new(act: Callable[[], object]) -> str:
    """What an act that is refused says; no job, no file and no change of a shard stays of it."""
    book = ledger.current()

    def there() -> object:
        jobs = book.jobs()
        return jobs, [book.shards(job.job_id) for job in jobs], sorted((book.home / "jobs").iterdir())

    before = there()
    with pytest.raises(InputError) as caught:
        act()
    assert there() == before
    return caught.value.message


# --- from files to counts ---------------------------------------------------------------------------------


def parts(folder: Path, source: object, **how: Any) -> list[costs.Part]:
    """What a submission's files are counted as."""
    options = how.pop("options", {})
    asked = prompts.from_source(source, options=options, **how)
    folder.mkdir(exist_ok=True)
    cuts = client._cut(asked, Settings(options=options), folder, lambda rows: None)
    return [part for cut in cuts for part in estimates.parts(cut.path, cut)]


def test_text_is_counted_and_not_what_is_around_it(tmp_path: Path) -> None:
    """Its bytes are those of the messages, the system message among them, and so is what is no ASCII."""
    (part,) = parts(tmp_path, ["Größe", "日本語"], system="Kurz!", options={"max_completion_tokens": 9})
    assert (part.model, part.requests, part.most) == (OSS, 2, 9)
    assert (part.text, part.foreign) == (7 + 9 + 2 * 5, 2 * 2 + 3 * 3)  # ö and ß are two bytes, a sign three
    assert part.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_conversations_tools_and_schemas_are_counted_pictures_are_not(tmp_path: Path) -> None:
    """All texts that a model is to read count; of pictures it is told that there are some."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5_000}}
    several = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
    talk = [
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": "cd"},
        {"role": "user", "content": "ef"},
    ]
    (part,) = parts(tmp_path, [several, talk], options={"tools": tools, "reasoning_effort": "low"})
    written = len(json.dumps(tools, separators=(",", ":")))
    assert (part.text, part.effort, part.pictures) == (11 + 6 + 2 * written, "low", True)
    (none,) = parts(tmp_path / "none", [[{"role": "user", "content": '"type":"image_url"'}]])
    assert not none.pictures


def test_a_long_file_is_judged_by_its_first_lines(tmp_path: Path) -> None:
    """200 lines tell what each has around its text; what longer ones have more is text."""
    source = [f"{n:04}" + "x" * 96 for n in range(200)] + ["y" * 1_000] * 400
    (part,) = parts(tmp_path, source)
    assert part.text == pytest.approx(200 * 100 + 400 * 1_000, rel=0.001)
    assert (part.foreign, part.pictures) == (0, False)
    seen = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}]
    talks = [[{"role": "user", "content": text}] for text in ["語" * 100] * 400 + [seen]]
    (part,) = parts(tmp_path / "talks", talks)
    assert part.foreign == part.text == pytest.approx(400 * 300, rel=0.002)
    assert part.pictures


def test_request_lines_are_counted_by_model_and_limit(tmp_path: Path) -> None:
    """Lines that name models of their own are each looked at."""
    lines = [
        echoing("a", "one"),
        echoing("b", "two", model=BIG, max_tokens=7),
        echoing("c", "three", model=BIG, max_tokens=7),
    ]
    found = {part.model: part for part in parts(tmp_path, lines)}
    assert (found[OSS].requests, found[OSS].text, found[OSS].most) == (1, 11, None)
    assert (found[BIG].requests, found[BIG].text, found[BIG].most) == (2, 11 + 13, 7)


def test_a_chinese_sign_is_no_quarter_of_a_token(groq: Line) -> None:
    """Ten times 20,000 signs are 150,000 tokens, and at most 300,000, so that a limit stops them.

    600,000 bytes, four a token, are $0.005625; 3,500 tokens answered are $0.000525.
    """
    asked, usd = ["語" * 20_000 + str(n) for n in range(10)], 0.005625 + 0.000525
    found = client.plan(prompts.from_source(asked), Settings(options=PLAIN)).estimate
    assert found.prompt_tokens == pytest.approx(150_000, abs=5)
    assert found.usd == pytest.approx(usd, rel=1e-4)
    assert found.high == pytest.approx((300_800 * 0.0375 + 3 * 3_500 * 0.15) / 1e6, rel=1e-4)
    assert nothing_new(lambda: ask(*asked, usd=0.005))


# --- what was paid ----------------------------------------------------------------------------------------


def test_answers_have_their_exact_price(groq: Line) -> None:
    """Ten times 12 tokens asked and 10 answered: $0.0000195 in a batch, double on demand; slices add up."""
    answers = ask(*tens(10)).wait(WAIT_S)
    cost = answers.cost
    assert cost is not None
    assert (answers.usage.prompt_tokens, answers.usage.completion_tokens) == (120, 100)
    assert (cost.paid, cost.on_demand) == (about((120 * 0.0375 + 100 * 0.15) / 1e6), about(3.9e-5))
    assert cost.saved == about(1.95e-5)
    parts_of_it = [part.cost for part in (answers[:3], answers[3:9:2], answers[4:10:2], answers[9:2:-99])]
    assert sum(map(float, parts_of_it)) == about(1.95e-5)
    assert answers[:0].cost == costs.Cost(0.0, 0.0)


def test_a_sandbox_is_never_paid(line: Line) -> None:
    """There the cost is zero, whatever the model."""
    assert ask(*tens(3)).wait(WAIT_S).cost == costs.Cost(0.0, 0.0)


def test_every_attempt_is_paid_and_counted(groq: Line) -> None:
    """A cut answer (12 + 5) and its retry (12 + 10) are both in usage and cost, also after a restart."""
    options = {**PLAIN, "max_completion_tokens": 5}
    answers = ask(*tens(2), options=options).wait(WAIT_S)
    assert answers.usage.completion_tokens == 10
    answers[:1].retry(max_tokens=50)
    answers.wait(WAIT_S)
    paid = about(((12 + 12 + 12) * 0.0375 + (5 + 5 + 10) * 0.15) / 1e6)

    def check(answers: Answers) -> None:
        used = answers.usage
        assert [answer.status for answer in answers] == ["ok", "cut"]
        assert (used.prompt_tokens, used.completion_tokens) == (36, 20)
        assert answers.cost is not None
        assert answers.cost.paid == paid
        assert (answers[:1].usage.total_tokens, answers[1:].usage.total_tokens) == (12 + 5 + 12 + 10, 12 + 5)

    check(answers)
    job_id = answers.job_id
    for _ in range(3):  # whichever of the two files comes first
        again_at_groq()
        check(client.attach(job_id).wait(WAIT_S))
    rows = runs.read(ledger.current().job(job_id))
    assert sum(rows.own_tokens(bytearray(b"\1\1"))) == 2 * 12 + 2 * 5


def test_an_attempt_that_brought_nothing_better_was_paid_too(groq: Line) -> None:
    """A retry that is cut off again is no better answer, and costs what it costs."""
    options = {**PLAIN, "max_completion_tokens": 5}
    answers = ask(*tens(1), options=options).wait(WAIT_S)
    answers.retry(max_tokens=6)
    answers.wait(WAIT_S)
    assert answers[0].status == "cut"
    assert answers.usage.completion_tokens == 5 + 6
    again_at_groq()
    assert client.attach(answers.job_id).wait(WAIT_S).usage.completion_tokens == 5 + 6


def test_who_borrows_a_retried_answer_counts_each_attempt_once(groq: Line) -> None:
    """A grown table has the first attempt, the retry and its new row, and none of them twice."""
    options = {**PLAIN, "max_completion_tokens": 5}
    first = ask(*tens(1), options=options).wait(WAIT_S)
    grown = ask(*tens(2), options=options, name="grown").wait(WAIT_S)
    grown[:1].retry(max_tokens=50)
    for answers, said in ((grown.wait(WAIT_S), 5 + 10 + 5), (client.attach(first.job_id).wait(WAIT_S), 15)):
        assert answers.usage.completion_tokens == said
    again_at_groq()
    assert client.attach(grown.job_id).wait(WAIT_S).usage.completion_tokens == 20
    # Whoever borrows later has the retry by way of the first.
    later = ask(*tens(1), *tens(1, 50), options=options, name="later").wait(WAIT_S)
    assert later[0].status == "ok"
    assert later.usage.completion_tokens == 5 + 10 + 5


def test_equal_prompts_that_share_an_answer_pay_it_once(groq: Line) -> None:
    """With --unique three equal rows cost what one does."""
    answers = ask(*tens(1), *tens(1), *tens(1), unique=True).wait(WAIT_S)
    assert answers.texts == [tens(1)[0].removeprefix("[[echo]]")] * 3
    assert answers.usage.total_tokens == 22
    assert float(answers.cost or 0) == about((12 * 0.0375 + 10 * 0.15) / 1e6)


def test_each_model_of_request_lines_has_its_own_price(groq: Line) -> None:
    """Each asked 12 and answered 10, the one at 20b's price and the other at 120b's; then one of no price."""
    said = tens(1)[0].removeprefix("[[echo]]")
    lines = [echoing("a", said, **PLAIN), echoing("b", said, model=BIG, **PLAIN)]
    answers = client.submit(lines).wait(WAIT_S)
    paid = (12 * 0.0375 + 10 * 0.15 + 12 * 0.075 + 10 * 0.30) / 1e6
    assert float(answers.cost or 0) == about(paid)
    assert float(answers[1:].cost or 0) == about((12 * 0.075 + 10 * 0.30) / 1e6)
    assert last(answers).cost == answers.cost
    heard = client.submit([*lines, MIXED[2]], name="heard").wait(WAIT_S)
    assert heard.cost is None
    assert float(heard[:2].cost or 0) == about(paid)
    assert last(heard).unpriced == ("whisper-large-v3",)


def test_what_the_ordinary_endpoint_answered_is_paid_in_full(groq: Line) -> None:
    """A job that is no batch pays the price on demand, also where another job borrows its answers."""
    answers = ask(*tens(1), now=True).wait(WAIT_S)
    again_at_groq()
    ordinary = client.attach(answers.job_id).wait(WAIT_S)
    one = (12 * 0.075 + 10 * 0.30) / 1e6
    assert ordinary.cost == costs.Cost(about(one), about(one))
    mixed = ask(*tens(2), name="mixed").wait(WAIT_S)
    assert mixed.cost == costs.Cost(about(1.5 * one), about(2 * one))


# --- what will be paid ------------------------------------------------------------------------------------


def held_back(line: Line) -> None:
    """Nothing is heard of what was sent, for as long as the test lasts."""
    line.on(POLL, *[refuses(503, "busy")] * 10_000)


def test_the_card_knows_the_estimate_from_the_ledger(groq: Line) -> None:
    """While it runs: 120 tokens asked and 350 each assumed; another process says the same."""
    held_back(groq)
    answers = ask(*tens(10))
    found = last(answers).estimate
    assert found is not None
    assert found.usd == about((120 * 0.0375 + 3_500 * 0.15) / 1e6)
    again_at_groq()
    assert last(client.attach(answers.job_id)).estimate == found


def test_earlier_answers_of_this_model_calibrate_the_estimate(groq: Line) -> None:
    """After 30 answers of 10 tokens, an answer is taken to be 10 long; other options are told apart."""
    ask(*tens(30)).wait(WAIT_S)
    held_back(groq)
    same = last(ask(*tens(10, 100), name="same")).estimate
    assert same is not None
    assert (same.answer_tokens, same.seen, same.same_options) == (10, 30, True)
    assert same.usd == pytest.approx((120 * 0.0375 + 100 * 0.15) / 1e6, rel=0.02)  # by bytes, ids and all
    other = last(ask(*tens(10), options={**PLAIN, "seed": 1}, name="other")).estimate
    assert other is not None
    assert (other.answer_tokens, other.seen, other.same_options) == (10, 30, False)
    assert last(ask(*tens(10), model=BIG, name="big")).estimate.seen == 0  # type: ignore[union-attr]


def test_answers_of_a_sandbox_calibrate_that_sandbox_alone(line: Line) -> None:
    """What echoes says nothing about a model."""
    ask(*tens(30)).wait(WAIT_S)
    assert client.plan(prompts.from_source(tens(5, 50)), Settings(options=PLAIN)).estimate.seen == 30
    services._chosen = replace(services.current(), id=keys.GROQ, base_url=keys.GROQ)
    assert client.plan(prompts.from_source(tens(5, 50)), Settings(options=PLAIN)).estimate.seen == 0


def test_reused_rows_are_in_the_whole_and_not_in_what_is_charged_now(groq: Line) -> None:
    """Thirty rows are here, ten are sent: the whole is forty's, ten's of it are paid now."""
    ask(*tens(30)).wait(WAIT_S)
    held_back(groq)
    answers = ask(*tens(40), name="grown")
    now = last(answers)
    assert now.estimate is not None
    assert now.usd_now is not None
    ten = (120 * 0.0375 + 100 * 0.15) / 1e6
    assert now.usd_now == pytest.approx(ten, rel=0.02)
    assert now.estimate.usd == about(3 * ten + now.usd_now)
    groq._acts.clear()
    end = last(answers.wait(WAIT_S))
    assert end.cost == costs.Cost(about(4 * ten), about(8 * ten))
    assert end.usd_now == about(ten)


def test_what_is_asked_again_is_told_from_the_whole(groq: Line) -> None:
    """Of a retry the card knows what it alone will cost."""
    options = {**PLAIN, "max_completion_tokens": 5}
    answers = ask(*tens(2), options=options).wait(WAIT_S)
    held_back(groq)
    answers[:1].retry(max_tokens=50)
    now = last(answers)
    again = (12 * 0.0375 + 50 * 0.15) / 1e6  # 350 are assumed, 50 allowed
    assert now.usd_again == about(again)
    assert now.estimate is not None
    assert now.estimate.usd == about(again + 2 * (12 * 0.0375 + 5 * 0.15) / 1e6)


def test_what_is_here_is_no_guess(groq: Line) -> None:
    """Two answers of 10 tokens are here and one request is asked again: of that one alone 350 are assumed."""
    answers = ask(*tens(2), "[[fail]]" + "x" * 40).wait(WAIT_S)
    held_back(groq)
    found = last(answers.retry()).estimate
    assert found is not None
    assert found.usd == about((3 * 12 * 0.0375 + (2 * 10 + 350) * 0.15) / 1e6)
    assert (found.answer_tokens, found.seen) == (350, 0)


def test_a_model_that_may_return_nothing_is_warned_of_on_the_snapshot(groq: Line) -> None:
    """With 5 tokens at most, as its own file says it, so that a restart changes nothing."""
    held_back(groq)
    answers = ask(*tens(2), options={"max_completion_tokens": 5, "reasoning_effort": "high"})
    said = last(answers).few_tokens or ""
    assert said.startswith("openai/gpt-oss-20b (reasoning_effort high) thinks before it answers")
    assert "with 5 tokens at most" in said
    again_at_groq()
    assert last(client.attach(answers.job_id)).few_tokens == said


def test_a_card_whose_files_are_gone_says_nothing_of_money(groq: Line) -> None:
    """A batch goes on without them."""
    held_back(groq)
    answers = ask(*tens(2))
    again_at_groq()
    ledger.current().shard_path(answers.job_id, 0).write_bytes(b"no JSON\n")
    assert last(client.attach(answers.job_id)).estimate is None


# --- a limit ----------------------------------------------------------------------------------------------

# Ten prompts cost about (120 × $0.0375 + 3,500 × $0.15) a million: $0.0005295.
TEN_USD = 0.0005295


def test_a_submission_above_its_limit_leaves_nothing(groq: Line) -> None:
    """It is refused before it is put down, and nobody is asked; at the limit it goes."""
    said = nothing_new(lambda: ask(*tens(10), usd=TEN_USD - 1e-9))
    assert said.startswith(
        "This would cost about $0.0005 in a batch ($0.0002 to $0.0016), $0.0011 on demand;"
    )
    assert "`--max-cost 0.001`" in said
    assert groq.asked == []
    ask(*tens(10), usd=TEN_USD).wait(WAIT_S)


def test_the_default_limit_holds_without_being_typed(groq: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """`submit` says 5 USD by itself."""
    monkeypatch.setitem(costs.ASSUMED, "medium", 4_000_000)  # ten such answers are 6 USD
    said = nothing_new(lambda: client.submit(tens(10)))
    assert "more than the limit of $5. `--max-cost 10`" in said
    client.submit(tens(10), max_cost=10).wait(WAIT_S)


def test_only_what_is_sent_now_counts(groq: Line) -> None:
    """Ten known rows and one new one are held to the limit as one; the same cell again as none."""
    ask(*tens(10)).wait(WAIT_S)
    one = TEN_USD / 10
    assert nothing_new(lambda: ask(*tens(11), usd=one * 0.99))
    ask(*tens(11), usd=one * 1.01).wait(WAIT_S)
    assert ask(*tens(11), usd=0).wait(WAIT_S).texts == [text[8:] for text in tens(11)]


@pytest.mark.usefixtures("no_late_files")
def test_a_re_run_that_sends_rows_again_is_held_to_its_limit(groq: Line) -> None:
    """Of three rows the one without a reply is asked once more: that one costs."""
    asked = [*tens(2), "[[lose]]" + "x" * 40]
    ask(*asked).wait(WAIT_S)
    uploads = sent(groq)
    assert nothing_new(lambda: ask(*asked, usd=TEN_USD / 10 * 0.9))
    ask(*asked, usd=TEN_USD / 10 * 1.1).wait(WAIT_S)
    assert uploads == [1]


def test_a_retry_is_held_to_its_limit(groq: Line) -> None:
    """Only the rows that it sends count, at the tokens that it allows; what is refused changes nothing."""
    options = {**PLAIN, "max_completion_tokens": 5}
    answers = ask(*tens(2), options=options).wait(WAIT_S)
    one = (12 * 0.0375 + 50 * 0.15) / 1e6
    said = nothing_new(lambda: answers[:1].retry(max_tokens=50, max_cost=one * 0.99))
    assert "under $0.0001" in said
    assert nothing_new(lambda: answers.retry(max_tokens=50, max_cost=one * 1.01))
    answers[:1].retry(max_tokens=50, max_cost=one * 1.01)
    assert [answer.status for answer in answers.wait(WAIT_S)] == ["ok", "cut"]
    failed = ask("[[fail]]" + "x" * 40, name="failed").wait(WAIT_S)
    assert nothing_new(lambda: failed.retry(max_cost=0))


@pytest.mark.usefixtures("long_ago")
def test_what_an_earlier_process_could_not_send_is_held_to_the_limit_of_the_next(groq: Line) -> None:
    """Prompts that were cut and not sent go with the next run, which may cost what it says."""
    service = services._chosen
    left = stranded(groq, *tens(10))
    services._chosen = service
    assert "about $0.0005" in nothing_new(lambda: submit(*tens(10), limit=Limit(0.0001, typed=True)))
    assert submit(*tens(10), limit=Limit(0.001, typed=True)).wait(WAIT_S).job_id == left.job_id


@pytest.mark.usefixtures("long_ago")
def test_who_borrows_from_a_batch_that_was_sent_in_part_is_held_to_the_rest_of_it(groq: Line) -> None:
    """He carries that batch, and so sends its second file: its five prompts cost, and his own none."""
    groq.on(UPLOAD, None, *[lost(httpx.ConnectError)] * 10_000)
    Observed(ask(*tens(10), shard_rows=5)).until(lambda now: now.counts.get("ok") == 5)
    forget()
    groq._acts.clear()
    assert nothing_new(lambda: ask(*tens(9), name="borrower", usd=TEN_USD / 2 * 0.99))
    ask(*tens(9), name="borrower", usd=TEN_USD / 2 * 1.01).wait(WAIT_S)


@pytest.mark.usefixtures("long_ago")
def test_a_retry_that_comes_upon_an_unsent_submission_is_held_to_what_that_sends(groq: Line) -> None:
    """Somebody has submitted just that and could not send it; the retry would."""
    answers = ask(*tens(1), options={**PLAIN, "max_completion_tokens": 5}).wait(WAIT_S)
    groq.on(MODELS, *[lost(httpx.ConnectError)] * 10_000)
    left = ask(*tens(1), options={**PLAIN, "max_completion_tokens": 50}, name="left")
    Observed(left).until(lambda now: now.trouble is not None)
    forget()
    groq._acts.clear()
    answers = client.attach(answers.job_id).wait(WAIT_S)
    assert nothing_new(lambda: answers.retry(max_tokens=50, max_cost=0))
    assert answers.retry(max_tokens=50, max_cost=1).wait(WAIT_S).batch_ids != []
    assert answers[0].status == "ok"


def test_a_sandbox_knows_no_limit_but_one_that_was_typed(line: Line) -> None:
    """The default stops nothing there; a typed one is a rehearsal, at Groq's price."""
    ask(*tens(1), options={}).wait(WAIT_S)
    said = nothing_new(lambda: ask(*tens(10), usd=0.0001))
    assert said.startswith("At Groq this would cost about $0.0005 in a batch")


def test_a_limit_cannot_be_promised_for_a_model_without_a_price(groq: Line) -> None:
    """A typed limit is refused and names the way out; the default lets it pass, and the card says so."""
    said = nothing_new(lambda: client.submit(MIXED[2:], max_cost=1))
    assert said.startswith(
        "What whisper-large-v3 costs is not known here, so the limit of $1 cannot be kept to"
    )
    held_back(groq)
    found = last(client.submit(MIXED[2:])).estimate
    assert found is not None
    assert (found.priced, found.unpriced) == (False, ("whisper-large-v3",))


def test_a_limit_cannot_be_promised_for_pictures(groq: Line) -> None:
    """How many tokens they are no document says: a typed limit is refused, and the estimate says so."""
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    asked = [[{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]]
    said = nothing_new(lambda: client.submit(asked, model="qwen/qwen3.8-27b", max_cost=1))
    assert said == (
        "What pictures cost is not known here, so the limit of $1 cannot be kept to: leave --max-cost "
        "(max_cost) out, or ask without pictures. Nothing was sent."
    )
    found = client.plan(prompts.from_source(asked), Settings("qwen/qwen3.8-27b")).estimate
    assert costs.in_words(found).endswith(
        "; without pictures, of which no document says how many tokens they are"
    )
    assert not client.plan(prompts.from_source(tens(1)), Settings()).estimate.pictures


def test_a_dry_run_reckons_as_a_submission_does(groq: Line) -> None:
    """The same figure, and whether the limit would stop it."""
    plan = client.plan(
        prompts.from_source(tens(10)), Settings(options=PLAIN, limit=Limit(0.0001, typed=True))
    )
    assert (plan.estimate.usd, plan.tokens) == (about(TEN_USD), 120)
    assert "more than the limit of $0.0001" in (plan.refused or "")
    assert client.plan(prompts.from_source(tens(10)), Settings(options=PLAIN)).refused is None
    held_back(groq)
    assert last(ask(*tens(10))).estimate == plan.estimate
