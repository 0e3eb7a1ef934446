"""What happens to a batch in the sandbox, by the clock."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.desk import KEY, Desk, lines_of, refused, request_line

TEN = lines_of(*(f"prompt number {n}" for n in range(10)))


def counts(batch: dict[str, Any]) -> tuple[int, int, int]:
    """(completed, failed, total)"""
    shown = batch["request_counts"]
    return shown["completed"], shown["failed"], shown["total"]


def test_a_batch_passes_through_its_states_by_the_clock(desk: Desk) -> None:
    """validating, in_progress with growing counts, finalizing, completed: each at its share of the pace."""
    batch = desk.create(TEN)
    begun = batch["created_at"]
    assert (batch["status"], counts(batch)) == ("validating", (0, 0, 0))
    seen = []
    for after in (5, 10, 50, 89, 95, 100):
        desk.now = begun + after
        look = desk.look(batch)
        seen.append((look["status"], counts(look), look["output_file_id"] is not None))
    assert seen == [
        ("validating", (0, 0, 0), False),
        ("in_progress", (0, 0, 10), False),
        ("in_progress", (5, 0, 10), False),
        ("in_progress", (9, 0, 10), False),
        ("finalizing", (10, 0, 10), False),
        ("completed", (10, 0, 10), True),
    ]
    times = [look[key] - begun for key in ("in_progress_at", "finalizing_at", "completed_at")]
    assert times == [10, 90, 100]


def test_a_clock_set_back_does_not_undo_an_end(desk: Desk) -> None:
    """What was once seen as ended stays so, with the same files."""
    before = desk.run(TEN)
    desk.now -= 10_000
    assert desk.look(before) == before


def test_without_a_pace_a_batch_is_done_at_the_first_look(tmp_path: Path) -> None:
    """With pace 0 the create answers validating and the first look completed."""
    desk = Desk(tmp_path, pace_s=0)
    batch = desk.create(TEN)
    assert (batch["status"], desk.look(batch)["status"]) == ("validating", "completed")


@pytest.mark.parametrize("rows", [2, 3, 10])
def test_answers_come_in_another_order_than_the_prompts(desk: Desk, rows: int) -> None:
    """The output file never keeps the input's order, and has each row once."""
    for _ in range(5):
        batch = desk.run(lines_of(*"abcdefghij"[:rows]))
        ids = [line["custom_id"] for line in desk.lines(batch["output_file_id"])]
        assert ids != sorted(ids)
        assert sorted(ids) == [f"row-{n}" for n in range(rows)]


def test_results_have_the_same_bytes_whoever_writes_them(desk: Desk, tmp_path: Path) -> None:
    """A copy of the store, whose results are written later, by itself, has the very same files."""
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string"}}}
    shaped = request_line("shaped", "p", response_format=wanted)
    batch = desk.create(TEN + shaped + "\n" + request_line("failed", "[[fail]]"))
    other = Desk(shutil.copytree(desk.home, tmp_path / "copy"), pace_s=7)
    other.now = desk.now + 10_000
    desk.now += 100
    ended = desk.look(batch)
    assert other.look(batch) == ended
    for key in ("output_file_id", "error_file_id"):
        written, again = (one.ask("GET", f"/files/{ended[key]}/content").content for one in (desk, other))
        assert b"custom_id" in written
        assert written == again


def test_result_files_are_listed_though_nobody_looked(desk: Desk) -> None:
    """A batch's end needs no poll: its files are in the list of files."""
    desk.create(lines_of("a", "[[fail]]"))
    desk.now += 100
    purposes = [file["purpose"] for file in desk.ask("GET", "/files").json()["data"]]
    assert sorted(purposes) == ["batch", "batch_output", "batch_output"]


def test_an_ended_batch_leaves_nothing_to_work_on(desk: Desk) -> None:
    """What only a batch under way needs is dropped at its end, also when its file was turned down."""
    desk.create(TEN)
    assert list((desk.home / "work").iterdir())
    desk.run(TEN)
    desk.run("no json")
    desk.ask("GET", "/files")
    assert not list((desk.home / "work").iterdir())


def test_many_looks_at_once_write_the_results_once(desk: Desk) -> None:
    """Looks that meet the end at the same moment all show the same files, and no other files are left."""
    batch = desk.create(TEN)
    desk.now += 100

    async def looks() -> list[dict[str, Any]]:
        transport, headers = httpx.ASGITransport(app=desk.app), {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://s", headers=headers) as client:
            path = f"/openai/v1/batches/{batch['id']}"
            return [reply.json() for reply in await asyncio.gather(*(client.get(path) for _ in range(20)))]

    shown = asyncio.run(looks())
    assert all(look == shown[0] for look in shown)
    assert len(desk.ask("GET", "/files").json()["data"]) == 2
    assert not list((desk.home / "aside").iterdir())


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        ("no json", "invalid_json_line", None),
        ("[1]", "invalid_json_line", None),
        (
            '{"custom_id": "x", "method": "POST", "url": "/v1/chat/completions"}',
            "missing_required_parameter",
            "body",
        ),
        (request_line("x", "p").replace("POST", "GET"), "invalid_method", "method"),
        (request_line("x", "p").replace('"x"', "7"), "invalid_type", "custom_id"),
        (request_line("row-0", "p"), "duplicate_custom_id", "custom_id"),
    ],
)
def test_a_file_with_a_bad_line_fails(desk: Desk, line: str, code: str, param: str | None) -> None:
    """The batch ends as failed, names the line and what is wrong with it, and has no files."""
    batch = desk.run(lines_of("a", "b") + line)
    assert (batch["status"], batch["failed_at"]) == ("failed", batch["created_at"] + 10)
    (error,) = batch["errors"]
    assert (error["code"], error["param"], error["line"]) == (code, param, 3)
    assert (batch["output_file_id"], batch["error_file_id"]) == (None, None)


@pytest.mark.parametrize(("content", "code"), [("", "empty_file"), ("\n", "empty_file")])
def test_an_empty_file_fails(desk: Desk, content: str, code: str) -> None:
    """A file without a request is turned down."""
    assert desk.run(content)["errors"][0]["code"] == code


def test_a_file_of_too_many_lines_fails(desk: Desk) -> None:
    """50,001 requests are one too many."""
    batch = desk.run("".join(request_line(str(n), "p") + "\n" for n in range(50_001)))
    assert (batch["status"], batch["errors"][0]["code"]) == ("failed", "too_many_lines")


def test_a_cancel_half_way_keeps_what_was_answered(desk: Desk) -> None:
    """cancelling for a tenth of the pace, then cancelled with the rows answered until the cancel."""
    batch = desk.create(TEN)
    desk.now += 50
    cancelling = desk.ask("POST", f"/batches/{batch['id']}/cancel").json()
    desk.now += 9
    assert desk.look(batch) == cancelling
    assert (cancelling["status"], counts(cancelling)) == ("cancelling", (5, 0, 10))
    assert desk.ask("POST", f"/batches/{batch['id']}/cancel").json() == cancelling
    desk.now += 1
    cancelled = desk.look(batch)
    assert (cancelled["status"], counts(cancelled), cancelled["error_file_id"]) == (
        "cancelled",
        (5, 0, 10),
        None,
    )
    assert len(desk.lines(cancelled["output_file_id"])) == 5


def test_a_cancel_while_validating_leaves_no_files(desk: Desk) -> None:
    """Cancelled before a row was answered: no result file is named."""
    batch = desk.create(TEN)
    desk.ask("POST", f"/batches/{batch['id']}/cancel")
    desk.now += 20
    look = desk.look(batch)
    assert (look["status"], look["output_file_id"], look["error_file_id"]) == ("cancelled", None, None)


def test_an_ended_batch_cannot_be_cancelled(desk: Desk) -> None:
    """A cancel that comes too late is 400 and changes nothing."""
    batch = desk.run(TEN)
    refused(desk.ask("POST", f"/batches/{batch['id']}/cancel"), 400, "batch_not_cancellable")
    assert desk.look(batch) == batch


def test_a_window_that_ends_first_expires_the_batch(tmp_path: Path) -> None:
    """Work past `expires_at` ends there: done rows in the output file, the rest in the error file."""
    desk = Desk(tmp_path, pace_s=2 * 86_400)
    batch = desk.create(TEN)
    desk.now = batch["expires_at"] - 1
    assert desk.look(batch)["status"] == "in_progress"
    desk.now += 1
    expired = desk.look(batch)
    assert (expired["status"], expired["expired_at"], counts(expired)) == (
        "expired",
        batch["expires_at"],
        (5, 0, 10),
    )
    left = desk.lines(expired["error_file_id"])
    assert {(line["response"], line["error"]["code"]) for line in left} == {(None, "batch_expired")}
    done = desk.lines(expired["output_file_id"])
    assert sorted(line["custom_id"] for line in done + left) == [f"row-{n}" for n in range(10)]
