"""The sandbox's routes: what each answers, what it refuses, and how."""

import json
import re
from typing import Any

import pytest

from tests.desk import Desk, create_body, lines_of, refused, request_line


@pytest.mark.parametrize("key", ["", "sk-other", "Gsk_x"])
def test_a_request_without_a_groq_key_is_refused(desk: Desk, key: str) -> None:
    """Whatever is asked below /openai/v1 without a key beginning `gsk_` gets 401 in Groq's envelope."""
    refused(desk.ask("GET", "/models", key=key), 401, "invalid_api_key")


def test_the_sandbox_names_itself_without_a_key(desk: Desk) -> None:
    """`GET /sandbox` tells a client that this is not Groq, and which store it is."""
    said = desk.ask("GET", "/sandbox", key="").json()
    assert (said["object"], said["store_id"], said["pace_s"]) == ("sandbox", desk.app.state.store_id, 100.0)
    assert re.fullmatch(r"sandbox_[0-9a-hjkmnp-tv-z]{26}", said["store_id"])


def test_the_store_keeps_its_id(desk: Desk) -> None:
    """The store's id is made once and is the same after a restart."""
    before = desk.app.state.store_id
    desk.restart()
    assert desk.app.state.store_id == before


def test_the_home_is_for_its_owner_alone(desk: Desk) -> None:
    """A home that the sandbox makes is closed to others."""
    assert desk.home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "unknown_url"),
        ("GET", "/files/", 404, "unknown_url"),
        ("PUT", "/batches", 405, "unknown_url"),
        ("GET", "/files/file_01k7a2n4m1p2q3r4s5t6v7w8x9", 404, "file_not_found"),
        ("GET", "/files/../content", 404, "unknown_url"),
        ("DELETE", "/files/file_none", 404, "file_not_found"),
        ("GET", "/batches/batch_01k7a2n4q8v3w5x6y7z8a9b0cd", 404, "batch_not_found"),
        ("POST", "/batches/batch_none/cancel", 404, "batch_not_found"),
        ("GET", "/models/openai/gpt-none", 404, "model_not_found"),
        ("GET", "/batches?cursor=page2", 400, None),
        ("GET", "/batches?" + "&".join(["id=batch_x"] * 201), 400, None),
        ("POST", "/files", 400, None),
    ],
)
def test_what_is_not_there_is_refused_in_the_envelope(
    desk: Desk, method: str, path: str, status: int, code: str
) -> None:
    """Unknown paths, methods, ids and cursors are answered in Groq's envelope."""
    refused(desk.ask(method, path), status, code)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input_file_id": None}, "input_file_id"),
        ({"input_file_id": "file_01k7a2n4m1p2q3r4s5t6v7w8x9"}, "input_file_id"),
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "23h"}, "completion_window"),
        ({"completion_window": "8d"}, "completion_window"),
        ({"completion_window": 24}, "completion_window"),
        ({"metadata": {"n": 1}}, "metadata"),
        ({"metadata": "text"}, "metadata"),
    ],
)
def test_a_batch_with_a_wrong_field_is_refused(desk: Desk, change: dict[str, Any], param: str) -> None:
    """A create with a field that cannot be is 400 and names the field."""
    asked = create_body(desk.upload(lines_of("a"))["id"]) | change
    assert refused(desk.ask("POST", "/batches", json=asked), 400)["param"] == param


def test_a_body_that_is_no_json_is_refused(desk: Desk) -> None:
    """A create or a chat whose body is no JSON object is 400."""
    for path in ("/batches", "/chat/completions"):
        refused(desk.ask("POST", path, content=b"{"), 400)
        refused(desk.ask("POST", path, content=b"[]"), 400)


@pytest.mark.parametrize(("window", "hours"), [("24h", 24), ("48h", 48), ("3d", 72), ("7d", 168)])
def test_the_window_sets_when_a_batch_expires(desk: Desk, window: str, hours: int) -> None:
    """`expires_at` is the creation plus the window, and metadata comes back as given."""
    batch = desk.create(lines_of("a"), completion_window=window, metadata={"job": "x"})
    assert batch["expires_at"] - batch["created_at"] == hours * 3600
    assert batch["metadata"] == {"job": "x"}


def test_a_deleted_file_is_gone(desk: Desk) -> None:
    """After a delete the file, its content and its place in the list are gone."""
    file_id = desk.upload(lines_of("a"))["id"]
    assert [file["id"] for file in desk.ask("GET", "/files").json()["data"]] == [file_id]
    assert desk.ask("DELETE", f"/files/{file_id}").json()["deleted"] is True
    refused(desk.ask("GET", f"/files/{file_id}"), 404, "file_not_found")
    refused(desk.ask("GET", f"/files/{file_id}/content"), 404, "file_not_found")
    assert desk.ask("GET", "/files").json()["data"] == []


def test_a_batch_outlives_its_input_file(desk: Desk) -> None:
    """Deleting the input of a batch under way costs none of its answers."""
    batch = desk.create(lines_of("a", "b"))
    desk.ask("DELETE", f"/files/{batch['input_file_id']}")
    desk.now += 200
    assert len(desk.lines(desk.look(batch)["output_file_id"])) == 2


def test_a_deleted_result_stays_deleted(desk: Desk) -> None:
    """A result file is written once: deleted, it does not come back, not even after a restart."""
    batch = desk.run(lines_of("a"))
    desk.ask("DELETE", f"/files/{batch['output_file_id']}")
    desk.restart()
    refused(desk.ask("GET", f"/files/{desk.look(batch)['output_file_id']}"), 404, "file_not_found")


def test_an_upload_comes_back_byte_for_byte(desk: Desk) -> None:
    """What was uploaded is what its content answers, its size and name beside it."""
    content = '{"p": "Zoë\u2028 – "}\n\n'.encode() * 3
    file = desk.upload(content)
    assert desk.ask("GET", f"/files/{file['id']}/content").content == content
    assert (file["bytes"], file["filename"], file["purpose"]) == (len(content), "in.jsonl", "batch")


def test_a_file_that_is_too_large_is_refused(desk: Desk) -> None:
    """More than 200 million bytes are 413, refused before they are read."""
    reply = desk.ask("POST", "/files", headers={"content-length": "200100000"}, content=b"")
    refused(reply, 413, "request_too_large")


def test_batches_are_listed_newest_first_page_by_page(desk: Desk) -> None:
    """Following the cursor meets each batch once, the newest first; the last page has no further cursor."""
    made = [desk.create(lines_of("a"))["id"] for _ in range(45)]
    seen, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page = desk.ask("GET", "/batches", params={"cursor": cursor} if cursor else {}).json()
        seen += [batch["id"] for batch in page["data"]]
        cursor, pages = page["paging"]["next_cursor"], pages + 1
    assert (seen, pages) == (made[::-1], 3)


def test_batches_are_asked_for_by_id(desk: Desk) -> None:
    """Repeated `id=` answers these batches in that order and leaves out what is unknown."""
    one, two = desk.create(lines_of("a"))["id"], desk.create(lines_of("b"))["id"]
    answer = desk.ask("GET", f"/batches?id={two}&id=batch_unknown&id={one}").json()
    assert [batch["id"] for batch in answer["data"]] == [two, one]
    assert "paging" not in answer


def test_the_ordinary_endpoint_answers_as_the_batch_does(desk: Desk) -> None:
    """A prompt has the same reply from chat/completions as from a batch."""
    body = json.loads(request_line("x", "Is the soup good?"))["body"]
    now = desk.ask("POST", "/chat/completions", json=body).json()
    batched = desk.lines(desk.run(lines_of("Is the soup good?"))["output_file_id"])[0]["response"]["body"]
    assert now["choices"] == batched["choices"]
    assert (now["service_tier"], batched["service_tier"]) == ("on_demand", "batch")


def test_the_ordinary_endpoint_refuses_in_the_envelope(desk: Desk) -> None:
    """An unknown model is 404 and `[[fail]]` is 400."""
    body = json.loads(request_line("x", "[[fail]]"))["body"]
    refused(desk.ask("POST", "/chat/completions", json={**body, "model": "none"}), 404, "model_not_found")
    refused(desk.ask("POST", "/chat/completions", json=body), 400, "json_validate_failed")
