"""What the sandbox keeps out, and what it survives: strangers, floods, long names, a full disk."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic import client, keys, ledger, runs, services
from groq_magic.errors import InputError
from groq_magic.sandbox import NoHome, Rules, create_app, intake
from groq_magic.sandbox.store import Store
from tests.desk import KEY, Desk, create_body, lines_of, refused, request_line
from tests.sockets import sandbox

TOKEN = "a-token-for-the-class"


# --- whose folder it is -------------------------------------------------------------------------------


def told(*options: str) -> str:
    """The one line with which `groq-magic sandbox` ends that was called wrongly."""
    command = [sys.executable, "-m", "groq_magic", "sandbox", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "name", ["notes.txt", "files/mine.json", "work/mine.txt", "aside/mine.txt", "store.json"]
)
def test_a_folder_with_other_things_becomes_no_home(tmp_path: Path, name: str) -> None:
    """Somebody's folder is left as it is, whatever its things are called, and one line says why."""
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("{}", encoding="utf-8")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert str(tmp_path) in told("--home", str(tmp_path))
    with pytest.raises(NoHome, match="folder of its own"):
        create_app(tmp_path)
    assert mine.read_text(encoding="utf-8") == "{}"
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_in_a_home_nothing_is_removed_that_is_not_the_stores(desk: Desk) -> None:
    """Old files of another name stay where they are, at every start."""
    for name in ("files/mine.json", "files/file_mine.json", "work/mine/a.txt", "aside/mine.txt", "mine.txt"):
        path = desk.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine", encoding="utf-8")
        for old in (path, path.parent):
            os.utime(old, (0, 0))
    before = sorted(desk.home.rglob("*mine*"))
    desk.restart()
    assert sorted(desk.home.rglob("*mine*")) == before
    assert desk.ask("GET", "/files").json()["data"] == []


def test_a_home_that_cannot_be_one_is_said_in_one_line(tmp_path: Path) -> None:
    """A file in place of the folder, and a place where nothing can be made."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "cannot hold a sandbox's store" in told("--home", str(tmp_path / "file"))
    assert "cannot hold a sandbox's store" in told("--home", "/proc/sandbox")


@pytest.mark.parametrize("host", ["..", "a" * 64 + ".x", "nowhere.invalid"])
def test_a_host_that_is_none_is_said_in_one_line(tmp_path: Path, host: str) -> None:
    """A name that stands for no address."""
    assert "there is no such address" in told("--home", str(tmp_path), "--host", host)


def test_what_was_damaged_costs_only_itself(desk: Desk) -> None:
    """A file, a batch, the faults or the clock that cannot be read count as not there."""
    kept, broken = desk.upload(lines_of("a")), desk.upload(lines_of("b"))
    batch, lost = desk.create(lines_of("c")), desk.create(lines_of("d"))
    for name in (f"files/{broken['id']}.json", f"batches/{lost['id']}.json", "faults.json", "clock.json"):
        (desk.home / name).write_bytes(b"\xff{")
    desk.restart()
    assert kept["id"] in {file["id"] for file in desk.ask("GET", "/files").json()["data"]}
    refused(desk.ask("GET", f"/files/{broken['id']}"), 404, "file_not_found")
    assert [one["id"] for one in desk.ask("GET", "/batches").json()["data"]] == [batch["id"]]
    refused(desk.ask("GET", f"/batches/{lost['id']}"), 404, "batch_not_found")


def test_a_batch_whose_work_is_gone_costs_only_itself(desk: Desk) -> None:
    """Lists show the others, and the batch itself is not there."""
    kept, lost = desk.create(lines_of("a")), desk.create(lines_of("b"))
    shutil.rmtree(desk.home / "work" / lost["id"])
    desk.now += 1_000
    assert [one["id"] for one in desk.ask("GET", "/batches").json()["data"]] == [kept["id"]]
    assert desk.ask("GET", "/files").status_code == 200
    refused(desk.ask("GET", f"/batches/{lost['id']}"), 404, "batch_not_found")


# --- who may ask ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("POST", "/files"), ("POST", "/batches"), ("GET", "/batches")])
def test_a_plan_without_batches_is_told_so_before_anything(desk: Desk, method: str, path: str) -> None:
    """A key `gsk_free…` gets 403 not_available_for_plan, whatever it sends; chat and models work."""
    reply = desk.ask(method, path, key="gsk_free_plan", content=b"{")
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "not_available_for_plan")
    assert desk.ask("GET", "/models", key="gsk_free_plan").status_code == 200
    body = json.loads(request_line("x", "hello"))["body"]
    assert desk.ask("POST", "/chat/completions", key="gsk_free_plan", json=body).status_code == 200


def test_an_expired_key_is_refused(desk: Desk) -> None:
    """A key `gsk_expired…` gets 401 expired_api_key."""
    refused(desk.ask("GET", "/models", key="gsk_expired_1"), 401, "expired_api_key")


def test_an_account_sees_nothing_of_another(desk: Desk) -> None:
    """Files and batches are there for every key of their account, after a restart too, and for no other."""
    batch = desk.create(lines_of("a"))
    desk.now += 1_000
    ended = desk.look(batch)
    file_id, output_id = batch["input_file_id"], ended["output_file_id"]
    for other in ("gsk_of_anna", "gsk_of_anna_2", "gsk_of_bert_1"):
        for path in (f"/files/{file_id}", f"/files/{file_id}/content", f"/files/{output_id}/content"):
            refused(desk.ask("GET", path, key=other), 404, "file_not_found")
        refused(desk.ask("DELETE", f"/files/{file_id}", key=other), 404, "file_not_found")
        refused(desk.ask("GET", f"/batches/{batch['id']}", key=other), 404, "batch_not_found")
        refused(desk.ask("POST", f"/batches/{batch['id']}/cancel", key=other), 404, "batch_not_found")
        refused(desk.ask("POST", "/batches", key=other, json=create_body(file_id)), 400)
        for path in ("/files", "/batches", f"/batches?id={batch['id']}"):
            assert desk.ask("GET", path, key=other).json()["data"] == []
    form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("in.jsonl", b"{}")}}
    hers = desk.ask("POST", "/files", key="gsk_of_anna", **form).json()["id"]
    desk.restart()
    for key, seen in (("gsk_of_anna_2", 200), ("gsk_of_annabel", 404), ("gsk_of_bert", 404), (KEY, 404)):
        assert desk.ask("GET", f"/files/{hers}", key=key).status_code == seen
    assert desk.ask("GET", f"/files/{file_id}", key="gsk_any").status_code == 200


def test_an_account_has_faults_and_a_clock_of_its_own(desk: Desk) -> None:
    """What one account arms or turns forward happens to its own requests alone."""
    desk.ask("POST", "/sandbox/faults", key="gsk_of_anna", json={"fault": "refuse"})
    desk.ask("POST", "/sandbox/clock", key="gsk_of_anna", json={"forward_s": 60})
    assert desk.ask("GET", "/models").status_code == 200
    assert desk.ask("GET", "/models", key="gsk_of_anna_2").status_code == 503
    ahead = [desk.ask("GET", "/sandbox", key=key).json()["ahead_s"] for key in (KEY, "gsk_of_anna_2")]
    assert ahead == [0, 60]


def test_a_sandbox_with_a_token_has_one_account(tmp_path: Path) -> None:
    """Where the token is the only key, a key of another account is refused and makes no folder."""
    desk = Desk(tmp_path / "home")
    desk.app = create_app(desk.home, token=TOKEN)
    refused(desk.ask("GET", "/files", key="gsk_of_anna"), 401, "invalid_api_key")
    assert not (desk.home / "accounts").exists()


@pytest.mark.parametrize("path", ["/sandbox/faults", "/sandbox/clock"])
def test_its_own_switches_need_a_key_too(desk: Desk, path: str) -> None:
    """A page in a browser cannot arm faults or turn the clock: it has no key to send."""
    refused(desk.ask("POST", path, key="", json={}), 401, "invalid_api_key")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_a_public_address_needs_a_token(tmp_path: Path, host: str) -> None:
    """Without --token one line says so, and nothing listens."""
    assert "--token" in told("--home", str(tmp_path), "--host", host)


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    """A token that could be guessed is refused in one line."""
    assert told("--home", str(tmp_path), "--token", "short").startswith("--token: at least 8 characters")


def test_with_a_token_no_other_key_is_welcome(tmp_path: Path) -> None:
    """A sandbox that listens on 0.0.0.0 lets in its token, neither a part of it nor a key such as Groq's."""
    with sandbox(tmp_path, "--host", "0.0.0.0", "--token", TOKEN) as url:
        for key, status in ((TOKEN, 200), (KEY, 401), (TOKEN[:-1], 401)):
            headers = {"authorization": f"Bearer {key}"}
            assert (
                httpx.get(f"{url}/openai/v1/models", headers=headers, trust_env=False).status_code == status
            )
        said = httpx.get(f"{url}/sandbox", trust_env=False).json()
    assert said["token_needed"] is True
    assert TOKEN not in str(said)


def test_our_own_client_sends_the_token_and_never_a_groq_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`%groq sandbox URL` takes the token from its variable; a wrong one or none gets the variable's name."""
    monkeypatch.setenv("GROQ_MAGIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GROQ_API_KEY", "gsk_my_real_key_that_stays_here")
    try:
        with sandbox(tmp_path / "store", "--token", TOKEN) as url:
            for wrong in ("", "another-token"):
                monkeypatch.setenv(keys.SANDBOX_TOKEN, wrong)
                with pytest.raises(InputError, match=keys.SANDBOX_TOKEN):
                    services.use_sandbox(url)
            monkeypatch.setenv(keys.SANDBOX_TOKEN, TOKEN)
            assert services.use_sandbox(url).key == TOKEN
            answers = client.submit(["[[echo]]in"])
            assert answers.wait(30).texts == ["in"]
            runs.leave().result(30)
    finally:
        services.use_groq()
        ledger.let_go()


# --- how much ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/batches", "/chat/completions"])
def test_a_body_is_bounded(desk: Desk, path: str) -> None:
    """More than 16 MB of JSON are 413, told by its length or found out on the way."""
    refused(desk.ask("POST", path, headers={"content-length": "16000001"}), 413, "request_too_large")

    async def flood() -> Any:
        for _ in range(17):
            yield b" " * 1_000_000

    refused(desk.ask("POST", path, content=flood()), 413, "request_too_large")


def test_an_upload_is_bounded_on_the_way(tmp_path: Path) -> None:
    """A file that does not tell its length is cut off at the limit, and nothing of it is kept."""
    desk = Desk(tmp_path, file_limit="100MB")
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    sent = 0

    async def flood() -> Any:
        nonlocal sent
        yield head
        for _ in range(200):
            sent += 1
            yield b" " * 1_000_000

    headers = {"content-type": "multipart/form-data; boundary=x"}
    refused(desk.ask("POST", "/files", headers=headers, content=flood()), 413, "request_too_large")
    assert sent < 110
    assert not list((tmp_path / "files").iterdir())
    assert not list((tmp_path / "aside").iterdir())


def test_a_form_is_bounded(desk: Desk) -> None:
    """Two files, or a dozen fields, are no upload."""
    two: Any = [("file", ("a", b"{}")), ("file", ("b", b"{}"))]
    refused(desk.ask("POST", "/files", data={"purpose": "batch"}, files=two), 400)
    many = {f"field{n}": "x" for n in range(12)} | {"purpose": "batch"}
    refused(desk.ask("POST", "/files", data=many, files={"file": ("a", b"{}")}), 400)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("multipart/form-data; boundary=b; charset=undefined", "a.jsonl"),
        ("multipart/form-data; boundary=b; charset=utf-7", "+2AA-.jsonl"),
        ("multipart/form-data; boundary=b; charset=raw_unicode_escape", "\\ud800x"),
        ("application/x-www-form-urlencoded", "a.jsonl"),
        ("", "a.jsonl"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused_and_leaves_nothing(desk: Desk, kind: str, name: str) -> None:
    """Another kind of body, a charset that is none, and a name that is no text are 400."""
    parts = [
        '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{{}}\r\n--b--\r\n',
    ]
    refused(desk.ask("POST", "/files", content="".join(parts).encode(), headers={"content-type": kind}), 400)
    assert list((desk.home / "files").iterdir()) == []


def test_a_file_that_goes_while_it_is_asked_for_is_not_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download and a create that lose the race against a delete are refused, and leave nothing."""
    file = desk.upload(lines_of("a"))
    path = Store.content_path

    def gone(self: Store, file_id: str) -> Path:
        found = path(self, file_id)
        found.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Store, "content_path", gone)
    refused(desk.ask("GET", f"/files/{file['id']}/content"), 404, "file_not_found")
    reply = desk.ask("POST", "/batches", json=create_body(file["id"]))
    assert "Cannot find file" in refused(reply, 400)["message"]
    assert list((desk.home / "work").iterdir()) == []


@pytest.mark.parametrize("depth", [100, 190, 210, 900, 985, 990, 100_000])
def test_how_deep_a_line_may_be_is_the_same_at_every_look(desk: Desk, depth: int) -> None:
    """A deep line is answered or the file turned down; no row is lost, whoever looks first."""
    deep = request_line("deep", "p", documents="DEEP").replace('"DEEP"', "[" * depth + "]" * depth)
    batch = desk.create(deep + "\n" + request_line("flat", "q"))
    desk.now += 1_000
    assert desk.ask("GET", "/files").status_code == 200
    batch = desk.look(batch)
    if depth < 200:
        assert len(desk.lines(batch["output_file_id"])) == 2
    else:
        assert (batch["status"], batch["errors"][0]["code"]) == ("failed", "invalid_json_line")


def test_a_client_that_hangs_up_is_no_error(tmp_path: Path) -> None:
    """Half an upload and half a create, and then nothing: the server goes on and writes no traceback."""
    command = [sys.executable, "-m", "groq_magic", "sandbox", "--home", str(tmp_path / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = httpx.URL(server.stdout.readline().split()[-1])
        for path, kind in (("files", "multipart/form-data; boundary=b"), ("batches", "application/json")):
            with socket.create_connection((url.host, url.port)) as line:
                head = f"POST /openai/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
                line.sendall(f"{head}Content-Type: {kind}\r\nContent-Length: 9999\r\n\r\n--b\r\n".encode())
        assert httpx.get(url.join("/sandbox")).status_code == 200
        server.terminate()
        assert server.communicate(timeout=20)[1] == ""


def test_names_are_bounded(desk: Desk) -> None:
    """A file's name of over 255 characters is refused; a path in it is only a name, and leads nowhere."""
    within = str(desk.home.parent / "passwd")
    before = set(desk.home.parent.rglob("*"))
    for name, status in (("n" * 256, 400), ("../../etc/passwd", 200), (within, 200), ("Zoë 😀.jsonl", 200)):
        reply = desk.ask("POST", "/files", data={"purpose": "batch"}, files={"file": (name, b"{}")})
        assert reply.status_code == status
        assert status == 400 or reply.json()["filename"] == name
    made = set(desk.home.parent.rglob("*")) - before
    assert {path.parent for path in made} == {desk.home / "files"}
    assert not [path for path in made if "passwd" in path.name]


@pytest.mark.parametrize(
    "metadata", [{str(n): "x" for n in range(65)}, {"k" * 513: "x"}, {"k": "x" * 2_049}, {"k": None}]
)
def test_metadata_is_bounded(desk: Desk, metadata: dict[str, Any]) -> None:
    """Too many pairs, a long key, a long value or none are refused, naming the field."""
    asked = create_body(desk.upload(lines_of("a"))["id"], metadata=metadata)
    reply = desk.ask("POST", "/batches", json=asked)
    assert refused(reply, 400)["param"] == "metadata"


def test_a_line_is_bounded(desk: Desk) -> None:
    """A line of over 16 MB turns its file down."""
    batch = desk.run(lines_of("a") + request_line("long", "x" * intake.MOST_LINE_BYTES))
    (error,) = batch["errors"]
    assert (batch["status"], error["code"], error["line"]) == ("failed", "line_too_long", 2)


def test_a_line_that_is_too_long_is_never_held_as_a_whole(tmp_path: Path) -> None:
    """Of a line of 200 MB less than 48 MB are in memory at any time."""
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    tracemalloc.start()
    try:
        taken = intake.take_in(path, "seed", "/v1/chat/completions", Rules())
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [error["code"] for error in taken.errors] == ["line_too_long"]
    assert most_bytes < 3 * intake.MOST_LINE_BYTES  # the line so far, and the pieces that it is made of


def test_many_bad_lines_are_a_hundred_errors(desk: Desk) -> None:
    """`errors` has the first hundred: a poll stays small, however bad the file is."""
    assert len(desk.run("no json\n" * 5_000)["errors"]) == 100


@pytest.mark.parametrize("nested", ["[" * 200_000, '{"a":' * 200_000])
def test_deep_json_is_refused(desk: Desk, nested: str) -> None:
    """JSON without end is 400 as a body and a bad line in a file."""
    refused(desk.ask("POST", "/batches", content=nested.encode()), 400)
    assert desk.run(nested)["errors"][0]["code"] == "invalid_json_line"


# --- a disk that is full -------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[httpx.Client, Any]]:
    """A client of a sandbox, and what bounds the size of any file that its process writes."""
    command = [sys.executable, "-m", "groq_magic", "sandbox", "--home", str(tmp_path / "home"), "--pace", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            headers = {"authorization": f"Bearer {KEY}"}

            def bound(size: int) -> None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

            with httpx.Client(base_url=f"{url}/openai/v1", headers=headers, trust_env=False) as client:
                yield client, bound
        finally:
            process.terminate()
            said = process.communicate(timeout=20)
        assert (process.returncode, *said) == (0, "", "")


def test_a_full_disk_is_an_error_and_no_corruption(
    small_disk: tuple[httpx.Client, Any], tmp_path: Path
) -> None:
    """What cannot be written is 500 in the envelope; what is there stays whole, and with room it goes on."""
    client, bound = small_disk
    content = lines_of(*(f"[[echo]]{'x' * 900}{n}" for n in range(3_000))).encode()
    form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("in.jsonl", content)}}
    file = client.post("/files", **form).json()
    asked = create_body(file["id"])
    batch = client.post("/batches", json=asked).json()

    bound(1_000_000)
    for reply in (client.post("/files", **form), client.get(f"/batches/{batch['id']}")):
        assert (reply.status_code, reply.json()["error"]["type"]) == (500, "internal_server_error")
        assert "disk" in reply.json()["error"]["message"]
    bound(10)
    assert client.post("/batches", json=asked).status_code == 500
    assert client.get(f"/files/{file['id']}/content").content == content
    assert not list((tmp_path / "home" / "aside").iterdir())

    bound(resource.RLIM_INFINITY)
    ended = client.get(f"/batches/{batch['id']}").json()
    assert (ended["status"], ended["request_counts"]["completed"]) == ("completed", 3_000)
    output = client.get(f"/files/{ended['output_file_id']}/content").content
    assert len({json.loads(line)["custom_id"] for line in output.splitlines()}) == 3_000
    assert [batch["id"] for batch in client.get("/batches").json()["data"]] == [batch["id"]]
    assert not list((tmp_path / "home" / "work").iterdir())
