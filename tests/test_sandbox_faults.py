"""The table of faults, row by row: what can be made to go wrong goes wrong, and only that."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic.sandbox.faults import MARKS, REQUESTS
from tests.desk import KEY, Desk, create_body, lines_of, refused, request_line
from tests.sockets import arm, disarm

FOUR = lines_of("a", "b", "c", "d")


@pytest.fixture
def line(url: str) -> Iterator[httpx.Client]:
    """A client of it; no fault is left armed in the end."""
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"{url}/openai/v1", headers=headers, trust_env=False) as client:
        yield client
    disarm(url)


def upload(line: httpx.Client, content: str = FOUR) -> str:
    """The id of the uploaded file."""
    files = {"file": ("in.jsonl", content.encode())}
    return line.post("/files", data={"purpose": "batch"}, files=files).raise_for_status().json()["id"]


def create(line: httpx.Client, file_id: str) -> httpx.Response:
    """The answer to a create over this file."""
    return line.post("/batches", json=create_body(file_id))


def output_of(line: httpx.Client, content: str = FOUR) -> str:
    """The path of the output of a batch over this content, at its end."""
    batch = create(line, upload(line, content)).json()
    ended = line.get(f"/batches/{batch['id']}").json()
    return f"/files/{ended['output_file_id']}/content"


def batches_over(line: httpx.Client, file_id: str) -> int:
    """How many of the newest batches are over this file."""
    return sum(batch["input_file_id"] == file_id for batch in line.get("/batches").json()["data"])


def ids(lines: list[dict[str, Any]]) -> list[str]:
    """The rows that these lines are about, sorted."""
    return sorted(line["custom_id"] for line in lines)


# --- marks: a row --------------------------------------------------------------------------------------


def test_fail_sends_the_row_to_the_error_file(desk: Desk) -> None:
    """`[[fail]]` is 400 json_validate_failed with the generation that failed."""
    (error,) = desk.lines(desk.run(lines_of("a", "[[fail]]"))["error_file_id"])
    said = error["response"]["body"]["error"]
    assert (error["custom_id"], error["response"]["status_code"]) == ("row-1", 400)
    assert (said["code"], said["failed_generation"]) == ("json_validate_failed", "")


def test_lose_leaves_the_row_out_of_both_files(desk: Desk) -> None:
    """`[[lose]]` counts as completed and is nowhere."""
    batch = desk.run(lines_of("a", "[[lose]]"))
    assert batch["request_counts"] == {"completed": 2, "failed": 0, "total": 2}
    assert (ids(desk.lines(batch["output_file_id"])), batch["error_file_id"]) == (["row-0"], None)


def test_double_writes_the_line_twice(desk: Desk) -> None:
    """`[[double]]` is there twice, the same line, in whichever file it is; it counts once."""
    batch = desk.run(lines_of("[[double]]", "b", "[[double]][[fail]]"))
    output, errors = desk.lines(batch["output_file_id"]), desk.lines(batch["error_file_id"])
    assert (ids(output), ids(errors)) == (["row-0", "row-0", "row-1"], ["row-2", "row-2"])
    assert errors[0] == errors[1]
    assert batch["request_counts"] == {"completed": 2, "failed": 1, "total": 3}


def test_cut_stops_the_reply(desk: Desk) -> None:
    """`[[cut]]` keeps the first half and says `length`."""
    (line,) = desk.lines(desk.run(lines_of("[[cut]][[echo]]12345678"))["output_file_id"])
    choice = line["response"]["body"]["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("1234", "length")


def test_echo_replies_with_the_rest(desk: Desk) -> None:
    """After `[[echo]]` everything is text, other marks too."""
    batch = desk.run(lines_of("x[[echo]][[fail]] [[expire]]"))
    (line,) = desk.lines(batch["output_file_id"])
    assert batch["status"] == "completed"
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "[[fail]] [[expire]]"


# --- marks: the whole batch ----------------------------------------------------------------------------


def test_expire_ends_the_batch_half_way(desk: Desk) -> None:
    """`[[expire]]`: half of the rows are answered by then, the others are batch_expired in the error file."""
    made = desk.create(lines_of("[[expire]]", "b", "c", "d"))
    desk.now += 49
    assert desk.look(made)["status"] == "in_progress"
    desk.now += 1
    batch = desk.look(made)
    assert (batch["status"], batch["expired_at"]) == ("expired", made["created_at"] + 50)
    answered, expired = desk.lines(batch["output_file_id"]), desk.lines(batch["error_file_id"])
    assert (len(answered), len(expired)) == (2, 2)
    assert {line["error"]["code"] for line in expired} == {"batch_expired"}
    assert ids(answered + expired) == [f"row-{n}" for n in range(4)]


def test_invalid_turns_the_file_down(desk: Desk) -> None:
    """`[[invalid]]` ends the batch as failed; `errors` names the line, and there are no files."""
    batch = desk.run(lines_of("a", "[[invalid]]"))
    assert (batch["status"], batch["errors"][0]["line"]) == ("failed", 2)
    assert (batch["output_file_id"], batch["error_file_id"]) == (None, None)


@pytest.mark.parametrize(("pace_s", "late_s"), [(100.0, 10), (0.0, 2)])
def test_late_names_the_files_after_the_end(tmp_path: Path, pace_s: float, late_s: int) -> None:
    """`[[late]]`: completed, and both ids null for a tenth of the pace or 2 seconds; then they stay."""
    desk = Desk(tmp_path, pace_s)
    batch = desk.create(lines_of("[[late]]", "[[fail]]"))
    desk.now += pace_s + late_s - 1
    early = desk.look(batch)
    assert (early["status"], early["output_file_id"], early["error_file_id"]) == ("completed", None, None)
    desk.now += 1
    late = desk.look(batch)
    assert ids(desk.lines(late["output_file_id"]) + desk.lines(late["error_file_id"])) == ["row-0", "row-1"]


@pytest.mark.parametrize(("pace_s", "span_s"), [(100.0, 100), (0.0, 5)])
def test_status_shows_a_status_of_no_document(tmp_path: Path, pace_s: float, span_s: int) -> None:
    """`[[status]]`: `scheduling` for half of the time, at least 2.5 s; then the batch goes on."""
    desk = Desk(tmp_path, pace_s)
    batch, seen = desk.create(lines_of("[[status]]", "b")), []
    for share in (0.05, 0.3, 0.49, 0.6, 1.0):
        desk.now = batch["created_at"] + share * span_s
        seen.append(desk.look(batch)["status"])
    assert seen == ["scheduling", "scheduling", "scheduling", "in_progress", "completed"]


@pytest.mark.parametrize("pace_s", [100.0, 0.0])
def test_nulls_gives_no_counts_until_the_end(tmp_path: Path, pace_s: float) -> None:
    """`[[nulls]]`: `request_counts` is null while the batch is under way, and whole at its end."""
    desk = Desk(tmp_path, pace_s)
    batch = desk.create(lines_of("[[nulls]]", "b"))
    desk.now += 2
    assert (batch["request_counts"], desk.look(batch)["request_counts"]) == (None, None)
    desk.now += 100
    assert desk.look(batch)["request_counts"] == {"completed": 2, "failed": 0, "total": 2}


def test_no_error_file_loses_the_failed_rows(desk: Desk) -> None:
    """`[[no-error-file]]`: rows failed, the count says so, and `error_file_id` is null."""
    batch = desk.run(lines_of("[[no-error-file]]", "[[fail]]"))
    assert (batch["request_counts"]["failed"], batch["error_file_id"]) == (1, None)
    assert len(desk.ask("GET", "/files").json()["data"]) == 2


@pytest.mark.parametrize("other", ["b", "[[fail]]"])
def test_empty_error_file_is_there_and_empty(desk: Desk, other: str) -> None:
    """`[[empty-error-file]]`: an id, a file of 0 bytes, whether rows failed or not."""
    batch = desk.run(lines_of("[[empty-error-file]]", other))
    assert desk.ask("GET", f"/files/{batch['error_file_id']}/content").content == b""
    assert desk.ask("GET", f"/files/{batch['error_file_id']}").json()["bytes"] == 0


def test_slow_takes_three_times_as_long(desk: Desk) -> None:
    """`[[slow]]`: not over until three times the pace."""
    batch = desk.create(lines_of("[[slow]]", "b"))
    desk.now += 299
    assert desk.look(batch)["status"] == "finalizing"
    desk.now += 1
    assert desk.look(batch)["status"] == "completed"


# --- marks: requests about the batch -------------------------------------------------------------------


def test_create_500_is_answered_500_and_carried_out(desk: Desk) -> None:
    """`[[create-500]]`: the create seems to fail, and the batch is there and runs."""
    file_id = desk.upload(lines_of("[[create-500]]", "b"))["id"]
    reply = desk.ask("POST", "/batches", json=create_body(file_id))
    assert (reply.status_code, reply.json()["error"]["type"]) == (500, "internal_server_error")
    desk.now += 100
    (batch,) = desk.ask("GET", "/batches").json()["data"]
    assert (batch["input_file_id"], batch["status"]) == (file_id, "completed")


def test_reset_download_breaks_the_first_download_off(line: httpx.Client) -> None:
    """`[[reset-download]]`: the first download of the output breaks off, the second is whole."""
    path = output_of(line, lines_of("[[reset-download]]", "b"))
    with pytest.raises(httpx.RemoteProtocolError):
        line.get(path)
    assert line.get(path).content.count(b"\n") == 2


def test_truncate_download_ends_the_first_download_early(line: httpx.Client) -> None:
    """`[[truncate-download]]`: the first download of the output is half of it and looks whole."""
    path = output_of(line, lines_of("[[truncate-download]]", "b"))
    half, whole = line.get(path).content, line.get(path).content
    assert half == whole[: len(whole) // 2]


# --- armed faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, "invalid_request_error") for status in (400, 409, 422, 424, 499)),
        *((status, "internal_server_error") for status in (500, 502, 503)),
        (403, "permissions_error"),
        (413, "tokens"),
        (498, "capacity_exceeded"),
    ],
)
def test_refuse_answers_any_status_and_does_nothing(
    url: str, line: httpx.Client, status: int, kind: str
) -> None:
    """`refuse`: this status in Groq's envelope, so many times, and nothing was done."""
    before = len(line.get("/files").json()["data"])
    arm(url, "refuse", status=status, times=2, on="POST /files")
    for _ in range(2):
        reply = line.post("/files", data={"purpose": "batch"}, files={"file": ("a", b"{}")})
        assert reply.status_code == status
        assert (set(reply.json()["error"]), reply.json()["error"]["type"]) == ({"message", "type"}, kind)
    assert len(line.get("/files").json()["data"]) == before
    upload(line)


def test_rate_limit_says_when_to_come_back(url: str, line: httpx.Client) -> None:
    """`rate_limit`: 429 rate_limit_exceeded with Retry-After and limits that are used up."""
    arm(url, "rate_limit", seconds=7)
    reply = line.get("/models")
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert (reply.headers["retry-after"], reply.headers["x-ratelimit-remaining-tokens"]) == ("7", "0")
    assert line.get("/models").status_code == 200


def test_accepted_500_carries_the_request_out(url: str, line: httpx.Client) -> None:
    """`accepted_500`: the create is answered 500, and its batch is in the list."""
    file_id = upload(line)
    arm(url, "accepted_500")
    assert create(line, file_id).status_code == 500
    assert batches_over(line, file_id) == 1


@pytest.mark.parametrize("size", [100, 4_000_000])
def test_reset_ends_the_connection_of_an_upload(url: str, line: httpx.Client, size: int) -> None:
    """`reset`: the connection ends while the file comes in, be it short or long, and no file is kept."""
    before = len(line.get("/files").json()["data"])
    arm(url, "reset")
    with pytest.raises(httpx.TransportError):
        upload(line, request_line("long", "x" * size))
    assert len(line.get("/files").json()["data"]) == before


def test_reset_reply_breaks_off_half_way(url: str, line: httpx.Client) -> None:
    """`reset_reply`: the first half of a download comes, then the connection ends."""
    path = output_of(line)
    whole, got = line.get(path).content, io.BytesIO()
    arm(url, "reset_reply")
    with line.stream("GET", path) as reply, pytest.raises(httpx.RemoteProtocolError):
        got.writelines(reply.iter_raw())
    assert got.getvalue() == whole[: len(whole) // 2]


def test_truncate_looks_whole(url: str, line: httpx.Client) -> None:
    """`truncate`: half of a download, with a content-length that fits, and no error."""
    path = output_of(line)
    whole = line.get(path).content
    arm(url, "truncate")
    assert line.get(path).content == whole[: len(whole) // 2]


def test_slow_begins_its_reply_later(url: str, line: httpx.Client) -> None:
    """`slow`: who waits for less than `seconds` has a timeout; the next request is as ever."""
    arm(url, "slow", seconds=2, on="GET /models")
    with pytest.raises(httpx.ReadTimeout):
        line.get("/models", timeout=0.2)
    assert line.get("/models", timeout=10).status_code == 200


def test_garbage_is_a_page_of_html(url: str, line: httpx.Client) -> None:
    """`garbage`: 200 and HTML in place of JSON."""
    arm(url, "garbage", on="GET /batches")
    assert line.get("/models").json()["object"] == "list"
    reply = line.get("/batches")
    assert (reply.status_code, reply.headers["content-type"].split(";")[0]) == (200, "text/html")


# --- the table itself ----------------------------------------------------------------------------------


def test_every_fault_has_its_test() -> None:
    """Each mark and each fault that can be armed is explained, and a test of this file is named after it and
    says so: of names that begin alike the longest counts, and `[[slow]]` is another than `slow`."""
    stems = {row: row.strip("[]").replace("-", "_") for row in [*MARKS, *REQUESTS]}
    tested = set()
    for name, test in globals().items():
        alike = [row for row, stem in stems.items() if name.startswith(f"test_{stem}_")]
        longest = max((len(stems[row]) for row in alike), default=0)
        tested |= {row for row in alike if len(stems[row]) == longest and f"`{row}`" in test.__doc__}
    assert set(stems) - tested == set()
    assert all([*MARKS.values(), *(says for _, says in REQUESTS.values())])


def test_the_sandbox_shows_the_table(desk: Desk) -> None:
    """`GET /sandbox` lists all marks and all faults with what they do, for who has no source at hand."""
    said = desk.ask("GET", "/sandbox").json()
    assert said["marks"] == MARKS
    assert {name: (fault["on"], fault["says"]) for name, fault in said["faults"].items()} == REQUESTS


def test_armed_faults_are_shared_counted_and_cleared(desk: Desk) -> None:
    """What one process arms another one meets, so often as asked; DELETE clears what is left."""
    told = desk.ask("POST", "/sandbox/faults", json={"fault": "refuse", "times": 2, "on": "GET /mod*"})
    assert told.json()["data"] == [
        {"fault": "refuse", "times": 2, "on": "GET /mod*", "seconds": 1.0, "status": 503}
    ]
    desk.restart()
    assert desk.ask("GET", "/files").status_code == 200
    assert desk.ask("GET", "/models").status_code == 503
    assert desk.ask("GET", "/sandbox/faults").json()["data"][0]["times"] == 1
    assert desk.ask("GET", "/sandbox").json()["armed"][0]["on"] == "GET /mod*"
    assert desk.ask("DELETE", "/sandbox/faults").json()["data"] == []
    assert desk.ask("GET", "/models").status_code == 200


@pytest.mark.parametrize(
    "told",
    [
        {"fault": "earthquake"},
        {"fault": "slow", "seconds": 61},
        {"fault": "slow", "seconds": -1},
        {"fault": "refuse", "times": 0},
        {"fault": "refuse", "status": 200},
        {"fault": "refuse", "twice": True},
        {"fault": "refuse", "on": "/batches"},
        {"fault": "refuse", "on": "PUT /batches"},
        {"fault": "refuse", "on": "GET batches"},
        {},
        [],
    ],
)
def test_an_odd_fault_is_refused(desk: Desk, told: Any) -> None:
    """A fault that is none, or goes beyond its bounds, is 400 and is not armed."""
    refused(desk.ask("POST", "/sandbox/faults", json=told), 400)
    assert desk.ask("GET", "/sandbox/faults").json()["data"] == []


def test_an_unknown_fault_is_answered_with_those_that_are(desk: Desk) -> None:
    """Who misspells a fault gets the list of them."""
    error = refused(desk.ask("POST", "/sandbox/faults", json={"fault": "earthquake"}), 400)
    assert "`fault` is one of refuse, rate_limit, accepted_500" in error["message"]


@pytest.mark.parametrize("on", ["get /batches", "GET /openai/v1/batches", "GET  /batches", "* /batches"])
def test_what_a_fault_meets_may_be_written_as_people_write_it(desk: Desk, on: str) -> None:
    """A method in small letters and a path as it stands in the URL meet the same requests."""
    desk.ask("POST", "/sandbox/faults", json={"fault": "refuse", "on": on})
    assert desk.ask("GET", "/batches").status_code == 503


def test_armed_faults_are_bounded(desk: Desk) -> None:
    """At most 100 wait at once."""
    for _ in range(100):
        assert desk.ask("POST", "/sandbox/faults", json={"fault": "slow"}).status_code == 200
    refused(desk.ask("POST", "/sandbox/faults", json={"fault": "slow"}), 400)


def test_a_fault_of_a_download_that_never_comes_is_not_armed(desk: Desk) -> None:
    """Where every row fails there is no output to download, and nothing waits for it."""
    desk.create(lines_of("[[reset-download]][[fail]]"))
    assert desk.ask("GET", "/sandbox/faults").json()["data"] == []


def test_a_create_that_cannot_arm_its_fault_is_not_carried_out(desk: Desk) -> None:
    """Where too many faults wait, the batch is refused and is not there."""
    for _ in range(100):
        desk.ask("POST", "/sandbox/faults", json={"fault": "slow", "on": "DELETE /nothing"})
    asked = {"input_file_id": desk.upload(lines_of("[[reset-download]]"))["id"], "completion_window": "24h"}
    refused(desk.ask("POST", "/batches", json={**asked, "endpoint": "/v1/chat/completions"}), 400)
    assert desk.ask("GET", "/batches").json()["data"] == []


def test_inside_a_process_a_reset_reaches_the_caller(desk: Desk) -> None:
    """Where there is no connection, the error is raised into the caller's request."""
    desk.ask("POST", "/sandbox/faults", json={"fault": "reset", "on": "GET /models"})
    with pytest.raises(ConnectionResetError):
        desk.ask("GET", "/models")
    assert desk.ask("GET", "/models").status_code == 200
