"""Batches that the ledger does not know: another tool's, or our own of another machine."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic import client, ledger, runs, services
from groq_magic.answers import Answers
from groq_magic.errors import InputError, LedgerError
from tests.desk import create_body, request_line
from tests.line import (
    CREATE,
    DOWNLOAD,
    FILE,
    UPLOAD,
    WAIT_S,
    Line,
    Seen,
    echoes,
    ends,
    forget,
    line,
    numbers,
    pauses,
    refuses,
    rewritten,
    sent,
    submit,
)

__all__ = ["line", "pauses"]  # fixtures


MODELS_OF_TWO = ["openai/gpt-oss-20b", "openai/gpt-oss-120b"]


class Tool:
    """Another tool at the same account: it speaks the protocol, and writes its lines in its own way."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def ask(self, method: str, path: str, **how: Any) -> Any:
        """One request past our client."""
        import asyncio

        async def asked() -> Any:
            assert self._line._sandbox is not None
            headers = {"authorization": f"Bearer {services.current().key}"}
            async with httpx.AsyncClient(
                transport=self._line._sandbox, base_url="http://sandbox/openai/v1", headers=headers
            ) as http:
                reply = await http.request(method, path, **how)
                assert reply.status_code == 200, reply.text
                return reply.json()

        return asyncio.run(asked())

    def batch(self, content: str, **more: Any) -> str:
        """The id of a batch over this content."""
        files = {"file": ("theirs.jsonl", content.encode())}
        uploaded = self.ask("POST", "/files", data={"purpose": "batch"}, files=files)
        created: str = self.ask("POST", "/batches", json=create_body(uploaded["id"], **more))["id"]
        return created


@pytest.fixture
def tool(line: Line) -> Tool:
    """A tool beside us; the line is laid by a first request of ours."""
    line.to(services.current())
    return Tool(line)


def theirs(*asked: str, **body: Any) -> str:
    """A file as another tool writes it: other ids, other order of keys, blanks, a blank line at the end."""
    return "".join(request_line(f"their {n}", text, **body) + "\n" for n, text in enumerate(asked)) + "\n"


def test_another_tools_batch_is_taken_up_with_its_prompts(tool: Tool, line: Line) -> None:
    """By its id alone: prompts and ids from its input file, answers when it ends; nothing is sent."""
    batch_id = tool.batch(
        theirs("[[echo]]a", "[[fail]] x", "[[echo]]c", temperature=0.5), completion_window="7d"
    )
    answers = client.attach(batch_id, "found").wait(WAIT_S)
    assert answers.texts == ["a", None, "c"]
    assert [answer.custom_id for answer in answers] == ["their 0", "their 1", "their 2"]
    assert answers[0].prompt == "[[echo]]a"
    assert answers["their 2"].text == "c"
    assert ends(answers)[1] == ("failed", "json_validate_failed")
    assert (answers.batch_ids, line.count(UPLOAD), line.count(CREATE)) == ([batch_id], 0, 0)
    job = ledger.current().job(answers.job_id)
    assert (job.model, job.window, job.origin) == ("openai/gpt-oss-20b", "7d", "attach")


def test_it_is_on_the_ledger_from_then_on(tool: Tool, line: Line) -> None:
    """The next kernel has it by its name and by its id, without asking for its prompts again."""
    batch_id = tool.batch(theirs("[[echo]]a"))
    client.attach(batch_id, "found").wait(WAIT_S)
    forget()
    asked = len(line.asked)
    assert client.attach("found").wait(WAIT_S).texts == ["a"]
    assert client.attach(batch_id).wait(WAIT_S).texts == ["a"]
    assert len(line.asked) == asked


def test_its_answers_serve_later_submissions(tool: Tool, line: Line) -> None:
    """What another tool has paid for is not paid again."""
    client.attach(tool.batch(theirs(*echoes(3))), "found").wait(WAIT_S)
    uploads = sent(line)
    assert submit(*echoes(4)).wait(WAIT_S).texts == numbers(4)
    assert uploads == [1]
    assert len(ledger.current().jobs()) == 2


def test_two_batches_over_equal_prompts_are_two(tool: Tool) -> None:
    """Each id has the answers of its own batch."""
    first, second = (tool.batch(theirs("[[echo]]a")) for _ in range(2))
    found = [client.attach(batch_id, "found").wait(WAIT_S) for batch_id in (first, second)]
    assert [answers.batch_ids for answers in found] == [[first], [second]]


def test_what_failed_in_it_can_be_retried(tool: Tool, line: Line) -> None:
    """A retry asks its prompts again, in a batch of ours."""
    answers = client.attach(tool.batch(theirs("[[cut]][[echo]]abcd", max_completion_tokens=30)), "found")
    assert answers.wait(WAIT_S).counts == {"cut": 1}
    answers.retry(max_tokens=60)
    answers.wait(WAIT_S)
    assert (line.count(CREATE), len(answers.batch_ids)) == (1, 2)


@pytest.mark.parametrize("word", ["max_tokens", "max_completion_tokens"])
def test_a_cut_answer_is_retried_whichever_word_its_request_used(word: str, tool: Tool, line: Line) -> None:
    """Other tools say `max_tokens`, which is deprecated: a retry with more is one, and says it once."""
    answers = client.attach(tool.batch(theirs("[[cut]][[echo]]abcd", **{word: 30})), "found").wait(WAIT_S)
    answers.retry(max_tokens=20)
    assert line.count(CREATE) == 0
    answers.retry(max_tokens=60)
    answers.wait(WAIT_S)
    assert line.count(CREATE) == 1
    retried = next(job for job in ledger.current().jobs() if job.origin == "retry")
    body = json.loads(ledger.current().shard_path(retried.job_id, 0).read_text())["body"]
    assert {key: value for key, value in body.items() if "tokens" in key} == {"max_completion_tokens": 60}


def test_a_batch_of_several_models_is_retried_with_each_its_own(tool: Tool, line: Line) -> None:
    """What asked two models asks both again."""
    lines = [
        request_line(f"{n}", "[[cut]][[echo]]abcd", model=model) for n, model in enumerate(MODELS_OF_TWO)
    ]
    answers = client.attach(tool.batch("\n".join(lines) + "\n"), "found").wait(WAIT_S)
    answers.retry(max_tokens=60)
    answers.wait(WAIT_S)
    retried = next(job for job in ledger.current().jobs() if job.origin == "retry")
    asked = ledger.current().shard_path(retried.job_id, 0).read_text().splitlines()
    assert [json.loads(each)["body"]["model"] for each in asked] == MODELS_OF_TWO
    assert line.count(CREATE) == 1


def test_prompts_that_come_in_part_are_not_taken_for_all(tool: Tool, line: Line) -> None:
    """A download of the input file that breaks off, or ends early, is repeated; and never kept."""
    batch_id = tool.batch(theirs(*echoes(4)))
    line.on(DOWNLOAD, rewritten(lambda found: found[:2]), refuses(503, "busy"))
    assert client.attach(batch_id, "found").wait(WAIT_S).texts == numbers(4)
    other_id = tool.batch(theirs(*echoes(4)))
    line.on(FILE, *[refuses(404, "No such file.")] * 10)
    line.on(DOWNLOAD, rewritten(lambda found: found[:2]))
    with pytest.raises(InputError, match=f"Of the 4 prompts of {other_id} only 2 came: try again"):
        client.attach(other_id, "other")
    assert len(ledger.current().jobs()) == 1


ODD = {
    "half a surrogate": request_line("odd", "[[echo]]x ?").replace("?", "\\ud83d"),
    "an id that is a number": '{"custom_id": 7, "url": "/v1/chat/completions", "body": {"messages": ["hi"]}}',
    "no body": '{"custom_id": "odd"}',
    "a byte order mark": '\ufeff{"custom_id": "odd", "body": {"messages": null}}',
}


@pytest.mark.parametrize("what", ODD)
def test_one_odd_line_never_costs_the_others_of_a_batch(what: str, tool: Tool, line: Line) -> None:
    """A batch is taken up whatever somebody else wrote into one of its lines."""
    batch_id = tool.batch(theirs("[[echo]]a"))
    line.on(DOWNLOAD, rewritten(lambda found: [ODD[what].encode(), *found]))
    answers = client.attach(batch_id, "found").wait(WAIT_S)
    assert (len(answers), answers[1].text) == (2, "a")
    assert isinstance(answers[0].prompt, str | list)
    assert "their 0" in repr(answers.to_dicts())


def test_a_batch_of_ours_whose_ledger_is_lost_is_taken_up_by_its_id(
    line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a new machine the id alone brings prompts and answers back, and the cell sends nothing again."""
    (batch_id,) = submit(*echoes(3)).wait(WAIT_S).batch_ids
    service = services.current()
    forget()
    monkeypatch.setenv("GROQ_MAGIC_HOME", str(tmp_path / "another"))
    services._chosen = service
    assert client.attach(batch_id, "back").wait(WAIT_S).texts == numbers(3)
    assert submit(*echoes(3)).wait(WAIT_S).texts == numbers(3)
    assert (line.count(UPLOAD), line.count(CREATE)) == (1, 1)


def test_lines_for_other_endpoints_are_shown_as_what_they_ask(tool: Tool, line: Line) -> None:
    """An audio task is a row like any other."""
    body = {"model": "whisper-large-v3", "url": "https://example.com/a.wav", "language": "en"}
    audio = {"custom_id": "a", "method": "POST", "url": "/v1/audio/transcriptions", "body": body}
    mixed = json.dumps(audio) + "\n" + request_line("b", "[[echo]]b") + "\n"
    answers = client.attach(tool.batch(mixed), "found").wait(WAIT_S)
    assert [answer.prompt for answer in answers] == ["https://example.com/a.wav", "[[echo]]b"]
    assert answers["b"].text == "b"
    assert ledger.current().job(answers.job_id).model == "several models"


def test_an_id_that_nobody_knows_is_named_with_the_key_that_asked(tool: Tool) -> None:
    """Neither the ledger nor the service has it; nothing is put down."""
    with pytest.raises(InputError, match=r"knows no batch 'batch_nobody' for the key from"):
        client.attach("batch_nobody")
    with pytest.raises(LedgerError, match="knows no job 'nobody'"):
        client.attach("nobody")
    assert (ledger.current().jobs(), list((ledger.current().home / "jobs").iterdir())) == ([], [])


def test_a_batch_whose_prompts_are_gone_says_so(tool: Tool) -> None:
    """Where the input file was deleted there is one clear line, and nothing is put down."""
    batch_id = tool.batch(theirs("[[echo]]a"))
    tool.ask("DELETE", f"/files/{tool.ask('GET', f'/batches/{batch_id}')['input_file_id']}")
    with pytest.raises(InputError, match=f"The prompts of {batch_id} are gone"):
        client.attach(batch_id)
    assert ledger.current().jobs() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no json\n", "Line 1 of the batch's input file is no request"),
        (theirs("a") + theirs("b"), "has the id 'their 0' twice"),
        ("\n", "input file is empty"),
    ],
)
def test_an_input_file_that_is_none_is_one_clear_line(content: str, said: str, tool: Tool) -> None:
    """The line is named, and nothing is put down."""
    with pytest.raises(InputError, match=said):
        client.attach(tool.batch(content))
    assert ledger.current().jobs() == []


# --- cancel -----------------------------------------------------------------------------------------------


def running(tool: Tool) -> Answers:
    """Another tool's batch under way, taken up."""
    services.use_sandbox(pace_s=30)
    tool._line.to(services.current())
    return client.attach(tool.batch(theirs(*echoes(3))), "found")


def test_a_batch_of_others_is_not_cancelled_unasked(tool: Tool) -> None:
    """The first cancel says whose it is and what to type; that cancels it."""
    answers = running(tool)
    with pytest.raises(InputError, match=r"not sent from here.*%groq cancel found --anyway"):
        answers.cancel()
    assert ledger.current().job(answers.job_id).cancel_requested_at is None
    answers.cancel(anyway=True)
    assert answers.wait(WAIT_S).status == "cancelled"


def test_a_batch_that_another_job_uses_is_not_cancelled_unasked(line: Line) -> None:
    """Cancelling asks first where another submission waits for its answers, and tells which."""
    services.use_sandbox(pace_s=30)
    first = submit(*echoes(3), name="first")
    Seen(first).until(lambda now: now.phase == "at_groq")
    second = submit(*echoes(4), name="second")
    with pytest.raises(InputError, match=r"awaited by second, too.*`first\.cancel\(anyway=True\)`"):
        first.cancel()
    second.cancel()
    second.wait(WAIT_S)
    first.cancel()
    assert first.wait(WAIT_S).status == "cancelled"


def test_cancelling_what_uses_another_jobs_batch_leaves_that_batch_alone(line: Line) -> None:
    """Only a job's own batches are cancelled; with several files, every one of them."""
    services.use_sandbox(pace_s=30)
    first = submit(*echoes(3), name="first")
    Seen(first).until(lambda now: now.phase == "at_groq")
    second = submit(*echoes(9), shard_rows=3, name="second")
    Seen(second).until(lambda now: now.shards_sent == 2)
    second.cancel()
    second.wait(WAIT_S)
    words = {shard.batch_id: shard.status for shard in ledger.current().shards(second.job_id)}
    assert list(words.values()) == ["cancelled", "cancelled"]
    assert ends(second)[0] == ("cancelled", "not_waited_for")
    assert not first.done


def test_what_another_notebook_waits_for_too_is_not_cancelled_unasked(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same prompts sent by two notebooks are one batch; the first to cancel is told of the other."""
    services.use_sandbox(pace_s=30)
    here = ledger.notebook()
    first = submit(*echoes(3), name="mine")
    monkeypatch.setenv("JPY_SESSION_NAME", "elsewhere.ipynb")
    submit(*echoes(3), name="theirs")
    monkeypatch.setenv("JPY_SESSION_NAME", here)
    with pytest.raises(InputError, match=r"Another notebook \(elsewhere\.ipynb\) has the same prompts"):
        first.cancel()
    first.cancel(anyway=True)
    assert first.wait(WAIT_S).status == "cancelled"


def test_another_notebooks_batch_is_not_cancelled_unasked(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that another notebook sent is cancelled on a second word only."""
    services.use_sandbox(pace_s=30)
    job_id = submit(*echoes(3)).job_id
    monkeypatch.setenv("JPY_SESSION_NAME", "elsewhere.ipynb")
    answers = client.attach(job_id, "mine")
    with pytest.raises(InputError, match="sent by another notebook"):
        answers.cancel()
    answers.cancel(anyway=True)
    assert answers.wait(WAIT_S).status == "cancelled"
    runs.leave().result(WAIT_S)
