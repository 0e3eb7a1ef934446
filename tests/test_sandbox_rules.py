"""Where Groq's documents disagree: both behaviours can be chosen, and the default is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from groq_magic.__main__ import main
from groq_magic.sandbox import RULES, Rules, choices, chosen
from tests.desk import Desk, create_body, lines_of, refused, request_line

BAD = request_line("bad", "p").replace("POST", "GET")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    return tmp_path / "home"


def test_errors_are_flat_or_wrapped(home: Path) -> None:
    """`errors`: a list by default, else an object that holds it."""
    flat = Desk(home).run(BAD)["errors"]
    wrapped = Desk(home, errors="wrapped").run(BAD)["errors"]
    assert [error["code"] for error in flat] == ["invalid_method"]
    assert wrapped == {"object": "list", "data": flat}


def test_a_bad_line_turns_the_batch_down_or_fails_alone(home: Path) -> None:
    """`bad_line`: by default the batch is failed; else it completes, and each bad line that has an id is in
    the error file with what `errors` says of it."""
    content = lines_of("a", "b") + BAD + "\nno json\n" + request_line("row-0", "again")
    assert Desk(home).run(content)["status"] == "failed"
    desk = Desk(home, bad_line="row")
    batch = desk.run(content)
    assert (batch["status"], batch["request_counts"]) == (
        "completed",
        {"completed": 2, "failed": 3, "total": 5},
    )
    codes = [(error["line"], error["code"]) for error in batch["errors"]]
    assert codes == [(3, "invalid_method"), (4, "invalid_json_line"), (5, "duplicate_custom_id")]
    found = {
        line["custom_id"]: line["response"]["body"]["error"]["code"]
        for line in desk.lines(batch["error_file_id"])
    }
    assert found == {"bad": "invalid_method", "row-0": "duplicate_custom_id"}
    assert {line["custom_id"] for line in desk.lines(batch["output_file_id"])} == {"row-0", "row-1"}


def test_a_file_of_bad_lines_alone_completes_without_an_output_file(home: Path) -> None:
    """With `bad_line=row` and no good line there is no output, and the batch is completed."""
    batch = Desk(home, bad_line="row").run(BAD)
    assert (batch["status"], batch["output_file_id"]) == ("completed", None)
    assert batch["request_counts"] == {"completed": 0, "failed": 1, "total": 1}


@pytest.mark.parametrize(("limit", "status"), [("200MB", 400), ("100MB", 413)])
def test_the_largest_file_has_200_or_100_megabytes(home: Path, limit: str, status: int) -> None:
    """`file_limit`: 150 MB are within the default and beyond the other choice."""
    reply = Desk(home, file_limit=limit).ask("POST", "/files", headers={"content-length": "150000000"})
    assert reply.status_code == status


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("range", ["24h", "36h", "3d", "7d"], ["23h", "8d"]),
        ("ends", ["24h", "7d"], ["48h"]),
        ("day", ["24h"], ["7d"]),
    ],
)
def test_windows_are_a_range_or_those_with_evidence(
    home: Path, rule: str, good: list[str], bad: list[str]
) -> None:
    """`window`: whole hours and days from 24h to 7d by default, only the ends, or one day."""
    desk = Desk(home, window=rule)
    for window in good:
        assert desk.create(lines_of("a"), completion_window=window)["completion_window"] == window
    file_id = desk.upload(lines_of("a"))["id"]
    for window in bad:
        reply = desk.ask("POST", "/batches", json=create_body(file_id, completion_window=window))
        assert refused(reply, 400)["param"] == "completion_window"


def test_a_line_has_any_url_or_the_endpoint(home: Path) -> None:
    """`line_url`: by default a file mixes chat and audio; else such a line is turned down."""
    audio = {"custom_id": "x", "method": "POST", "url": "/v1/audio/transcriptions"}
    line = json.dumps({**audio, "body": {"model": "whisper-large-v3", "url": "https://example.org/a.wav"}})
    assert Desk(home).run(line)["status"] == "completed"
    batch = Desk(home, line_url="endpoint").run(line)
    assert [(error["code"], error["param"]) for error in batch["errors"]] == [("invalid_url", "url")]


def test_a_malformed_upload_is_kept_or_answered_500(home: Path) -> None:
    """`malformed_upload`: by default such a file is taken, and its batch fails; else the upload is 500."""
    assert Desk(home).upload("no json")["object"] == "file"
    desk = Desk(home, malformed_upload="500")
    assert desk.upload("no json")["error"]["type"] == "internal_server_error"
    assert desk.upload(BAD)["object"] == "file"


def test_timestamps_are_set_or_null(home: Path) -> None:
    """`timestamps`: finalizing_at of an ended batch and cancelling_at of a cancel's answer, or null."""
    seen = []
    for rule in ("set", "null"):
        desk = Desk(home, timestamps=rule)
        ended, batch = desk.run(lines_of("a")), desk.create(lines_of("a"))
        cancelled = desk.ask("POST", f"/batches/{batch['id']}/cancel").json()
        seen.append((ended["finalizing_at"] is None, cancelled["cancelling_at"] is None))
    assert seen == [(False, False), (True, True)]


def test_output_lines_are_of_2026_or_2025(home: Path) -> None:
    """`output_line`: with usage_breakdown, service_tier and seed, or without."""
    bodies: list[dict[str, Any]] = []
    for year in ("2026", "2025"):
        desk = Desk(home, output_line=year)
        bodies += [line["response"]["body"] for line in desk.lines(desk.run(lines_of("a"))["output_file_id"])]
    new, old = bodies
    assert set(new) - set(old) == {"usage_breakdown", "service_tier"}
    assert (set(new["x_groq"]), set(old["x_groq"])) == ({"id", "seed"}, {"id"})


def test_error_lines_are_whole_or_bare(home: Path) -> None:
    """`error_line`: with request_id and error beside the response, or without."""
    keys = []
    for rule in ("whole", "bare"):
        desk = Desk(home, error_line=rule)
        (line,) = desk.lines(desk.run(lines_of("[[fail]]"))["error_file_id"])
        keys.append((list(line), list(line["response"])))
    assert keys == [
        (["id", "custom_id", "response", "error"], ["status_code", "request_id", "body"]),
        (["id", "custom_id", "response"], ["status_code", "body"]),
    ]


def test_a_model_that_is_gone_is_400_or_404(home: Path) -> None:
    """`decommissioned`: 400 model_decommissioned by default, else as unknown as any; in batches too."""
    for rule, status, code in (("400", 400, "model_decommissioned"), ("404", 404, "model_not_found")):
        desk = Desk(home, decommissioned=rule)
        line = request_line("x", "p", model="qwen/qwen3-32b")
        refused(desk.ask("POST", "/chat/completions", json=json.loads(line)["body"]), status, code)
        (error,) = desk.lines(desk.run(line)["error_file_id"])
        said = error["response"]
        assert (said["status_code"], said["body"]["error"]["code"]) == (status, code)


def test_a_batch_keeps_the_rules_it_was_created_under(home: Path) -> None:
    """Another process with other rules shows the same batch and writes the same files."""
    desk = Desk(home)
    batch = desk.create(lines_of("a", "[[fail]]"))
    other = Desk(home, errors="wrapped", error_line="bare", output_line="2025")
    other.now = desk.now = desk.now + 1_000
    assert other.look(batch) == desk.look(batch)
    (line,) = other.lines(other.look(batch)["error_file_id"])
    assert line["error"] is None
    batch = desk.create(lines_of("a"))
    hasty = Desk(home, timestamps="null")
    hasty.now = desk.now
    assert hasty.ask("POST", f"/batches/{batch['id']}/cancel").json()["cancelling_at"] is not None


def test_every_rule_is_explained_and_has_its_test() -> None:
    """Each rule has two choices or more, the first of them the default, a sentence, and a test here."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert list(RULES) == list(Rules.__struct_fields__)
    for rule, says in RULES.items():
        assert len(choices(rule)) >= 2
        assert says
        assert getattr(Rules(), rule) == choices(rule)[0]
        assert f"Desk(home, {rule}=" in source


def test_the_sandbox_shows_its_rules(home: Path) -> None:
    """`GET /sandbox` says for each rule what is chosen and what could be."""
    said = Desk(home, errors="wrapped").ask("GET", "/sandbox").json()["rules"]
    assert said["errors"]["chosen"] == "wrapped"
    assert {rule: tuple(about["choices"]) for rule, about in said.items()} == {r: choices(r) for r in RULES}


@pytest.mark.parametrize(
    ("pair", "says"),
    [("error=flat", "is no rule"), ("errors=round", "flat, wrapped"), ("errors", "flat, wrapped")],
)
def test_a_rule_that_is_none_is_refused_in_one_line(
    pair: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt rule or choice names the known ones, from Python and from the command line."""
    with pytest.raises(ValueError, match=says):
        chosen([pair])
    assert main(["sandbox", "--rule", pair]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert says in complaint


def test_the_command_line_lists_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """`groq-magic sandbox --rules` shows every rule with its choices, and says that the default is first."""
    assert main(["sandbox", "--rules"]) == 0
    listed = capsys.readouterr().out
    for rule in RULES:
        assert f"{rule}={'|'.join(choices(rule))}" in listed
    assert "The first choice of each is the default." in listed
