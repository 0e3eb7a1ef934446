"""One store: what a restart, a second process and a turned clock change, which is nothing but the time."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic.sandbox import create_app
from tests.desk import KEY, Desk, create_body, lines_of, refused
from tests.sockets import forward, sandbox

DAY_S = 86_400
TEN = lines_of(*(f"prompt number {n}" for n in range(10)))
WITH_A_FAILURE = lines_of("a", "[[fail]]", "c", "d")


# status → the batch's file, the seconds until it is looked at, and until its cancel
STATUSES: dict[str, tuple[str, float, float | None]] = {
    "validating": (lines_of("[[expire]]", "b", "c", "d"), 5, None),
    "scheduling": (lines_of("[[status]]", "b"), 30, None),
    "in_progress": (WITH_A_FAILURE, 60, None),
    "finalizing": (WITH_A_FAILURE, 95, None),
    "completed": (WITH_A_FAILURE, 100, None),
    "failed": ("no json\n", 50, None),
    "expired": (lines_of("[[expire]]", "[[fail]]", "c", "d"), 60, None),
    "cancelling": (TEN, 59, 50),
    "cancelled": (TEN, 60, 50),
}


def brought_to(desk: Desk, status: str) -> dict[str, Any]:
    """A batch that stands there now."""
    content, looked_s, cancelled_s = STATUSES[status]
    batch = desk.create(content)
    if cancelled_s is not None:
        desk.now = batch["created_at"] + cancelled_s
        desk.ask("POST", f"/batches/{batch['id']}/cancel")
    desk.now = batch["created_at"] + looked_s
    return desk.look(batch)


@pytest.mark.parametrize("status", STATUSES)
def test_a_restart_in_any_status_changes_nothing(desk: Desk, status: str) -> None:
    """A new app with another pace shows the same batch, the same results and, later, the same end."""
    before = brought_to(desk, status)
    assert before["status"] == status
    files = desk.ask("GET", "/files").json()
    results = [desk.lines(before[key]) for key in ("output_file_id", "error_file_id")]
    desk.pace_s = 7
    desk.restart()
    assert desk.look(before) == before
    assert desk.ask("GET", "/files").json() == files
    assert [desk.lines(before[key]) for key in ("output_file_id", "error_file_id")] == results
    desk.now += 1_000
    end = desk.look(before)
    desk.restart()
    assert desk.look(before) == end
    assert end["status"] in ("completed", "failed", "expired", "cancelled")


def test_two_processes_show_one_store(tmp_path: Path) -> None:
    """What one process is told the other knows: files, batches, cancels, deletes, the clock and faults."""
    with (
        sandbox(tmp_path, "--pace", "1000") as one,
        sandbox(tmp_path, "--pace", "1000") as other,
        httpx.Client(headers={"authorization": f"Bearer {KEY}"}, trust_env=False) as client,
    ):
        here, there = f"{one}/openai/v1", f"{other}/openai/v1"
        assert (
            client.get(f"{one}/sandbox").json()["store_id"]
            == client.get(f"{other}/sandbox").json()["store_id"]
        )
        files = {"file": ("in.jsonl", WITH_A_FAILURE.encode())}
        file = client.post(f"{here}/files", data={"purpose": "batch"}, files=files).json()
        assert client.get(f"{there}/files/{file['id']}").json() == file
        asked = create_body(file["id"])
        batch = client.post(f"{there}/batches", json=asked).json()
        cancelled = client.post(f"{there}/batches", json=asked).json()
        client.post(f"{here}/batches/{cancelled['id']}/cancel")
        forward(one, 5_000)
        ended = client.get(f"{there}/batches/{batch['id']}").json()
        assert ended == client.get(f"{here}/batches/{batch['id']}").json()
        assert (ended["status"], ended["request_counts"]["failed"]) == ("completed", 1)
        assert client.get(f"{there}/batches/{cancelled['id']}").json()["status"] == "cancelled"
        client.delete(f"{here}/files/{ended['output_file_id']}")
        assert client.get(f"{there}/files/{ended['output_file_id']}/content").status_code == 404


def test_two_processes_meet_the_end_at_once(tmp_path: Path) -> None:
    """Forty looks by two processes at the moment of the end: one result, no line twice, nothing left over."""
    with sandbox(tmp_path) as one, sandbox(tmp_path) as other:
        headers = {"authorization": f"Bearer {KEY}"}
        limits = httpx.Limits(max_connections=40)
        with httpx.Client(headers=headers, trust_env=False, timeout=30, limits=limits) as client:
            content = lines_of(*(f"[[echo]]{n}" for n in range(2_000))).encode()
            form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("in.jsonl", content)}}
            file = client.post(f"{one}/openai/v1/files", **form).json()
            batch = client.post(f"{one}/openai/v1/batches", json=create_body(file["id"])).json()

            def look(url: str) -> dict[str, Any]:
                return client.get(f"{url}/openai/v1/batches/{batch['id']}").json()

            with ThreadPoolExecutor(40) as pool:
                looks = list(pool.map(look, [one, other] * 20))
            assert all(look == looks[0] for look in looks)
            output = client.get(f"{other}/openai/v1/files/{looks[0]['output_file_id']}/content").content
    ids = [json.loads(line)["custom_id"] for line in output.splitlines()]
    assert sorted(ids) == sorted(f"row-{n}" for n in range(2_000))
    assert not list((tmp_path / "aside").iterdir())
    assert not list((tmp_path / "work").iterdir())


def test_a_new_home_has_one_id_whoever_makes_it(tmp_path: Path) -> None:
    """Sixteen that begin with an empty home at the same moment agree on the store's id, again and again."""
    for home in (tmp_path / str(n) for n in range(20)):
        together = threading.Barrier(16)

        def begin(_: int, home: Path = home, together: threading.Barrier = together) -> str:
            together.wait(30)
            return create_app(home).state.store_id

        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(begin, range(16)))) == 1


# --- the clock -----------------------------------------------------------------------------------------


def test_the_clock_is_turned_by_request(desk: Desk) -> None:
    """`POST /sandbox/clock` moves the store's time on, for good; it adds up and survives a restart."""
    batch = desk.create(TEN)
    before = desk.now
    told = desk.ask("POST", "/sandbox/clock", json={"forward_s": 60}).json()
    assert told == {"object": "sandbox.clock", "now": int(before) + 60, "ahead_s": 60.0}
    assert desk.look(batch)["status"] == "in_progress"
    assert desk.ask("POST", "/sandbox/clock", json={"forward_s": 40}).json()["ahead_s"] == 100
    desk.restart()
    assert desk.look(batch)["status"] == "completed"


@pytest.mark.parametrize(
    "told", [{}, {"forward_s": -1}, {"forward_s": "1"}, {"forward_s": 1e12}, {"back_s": 1}, []]
)
def test_the_clock_goes_forward_by_a_year_at_most(desk: Desk, told: Any) -> None:
    """Anything else is 400 and leaves the time alone."""
    refused(desk.ask("POST", "/sandbox/clock", json=told), 400)
    assert desk.ask("POST", "/sandbox/clock", json={"forward_s": 0}).json()["ahead_s"] == 0


def test_files_are_kept_for_thirty_days(desk: Desk) -> None:
    """After 30 days input and results are as if deleted; a restart frees the disk."""
    batch = desk.run(WITH_A_FAILURE)
    desk.now += 30 * DAY_S - 2_000
    assert desk.lines(batch["output_file_id"])
    desk.now += 2_000
    assert desk.look(batch) == batch
    assert desk.ask("GET", "/files").json()["data"] == []
    for key in ("input_file_id", "output_file_id", "error_file_id"):
        refused(desk.ask("GET", f"/files/{batch[key]}"), 404, "file_not_found")
        refused(desk.ask("GET", f"/files/{batch[key]}/content"), 404, "file_not_found")
        refused(desk.ask("DELETE", f"/files/{batch[key]}"), 404, "file_not_found")
    desk.restart()
    assert not list((desk.home / "files").iterdir())


def test_a_batch_over_a_file_that_is_too_old_is_refused(desk: Desk) -> None:
    """A create over an expired file is as one over an unknown file."""
    file_id = desk.upload(TEN)["id"]
    desk.now += 31 * DAY_S
    reply = desk.ask("POST", "/batches", json=create_body(file_id))
    assert refused(reply, 400)["param"] == "input_file_id"
