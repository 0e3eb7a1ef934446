"""What only Groq's own SDK has, sync and async, against a sandbox on a socket.

It adds `/openai/v1` to its base URL, and an error's `body` is Groq's whole envelope.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import groq
import httpx
import pytest

from tests.desk import BAD_LINE, KEY, lines_of
from tests.sdks import MODEL, PACE_S, Sdk, asking
from tests.sockets import arm, forward


@pytest.fixture(scope="module", params=[groq.Groq, groq.AsyncGroq])
def kind(request: pytest.FixtureRequest) -> Any:
    """The SDK's client: the sync one, and the async one."""
    return request.param


def test_content_comes_in_every_way_the_sdk_has(sdk: Sdk, tmp_path: Path) -> None:
    """text, read, iter_lines, iter_bytes and write_to_file give what went up, byte for byte."""
    sent = lines_of("[[echo]]Zürich\u2028 – one line", "two").encode()
    file = sdk.upload(sent.decode())

    def content() -> Any:
        return sdk.got(sdk.client.files.content(file.id))

    assert sdk.got(content().text()) == sent.decode()
    assert sdk.got(content().read()) == sent
    assert b"".join(sdk.all(content().iter_bytes())) == sent
    # httpx's iter_lines splits as str.splitlines does, so also at U+2028.
    assert sdk.all(content().iter_lines()) == sent.decode().splitlines()
    sdk.got(content().write_to_file(tmp_path / "whole"))
    assert (tmp_path / "whole").read_bytes() == sent
    with sdk.within(sdk.client.files.with_streaming_response.content(file.id)) as reply:
        assert reply.headers["content-type"] == "application/octet-stream"
        sdk.got(reply.stream_to_file(tmp_path / "streamed"))
    assert (tmp_path / "streamed").read_bytes() == sent


def test_the_chunks_of_a_stream_have_what_is_groqs_own(sdk: Sdk) -> None:
    """The reasoning comes in chunks too; `x_groq` has id and seed in the first one, the usage in the last."""
    whole = sdk.chat("[[echo]]a word and another", seed=7)
    chunks = sdk.all(sdk.chat("[[echo]]a word and another", seed=7, stream=True))
    reasoning = "".join(choice.delta.reasoning or "" for chunk in chunks for choice in chunk.choices)
    assert reasoning == whole.choices[0].message.reasoning
    assert (chunks[0].x_groq.id.startswith("req_"), chunks[0].x_groq.seed) == (True, 7)
    assert chunks[-1].x_groq.usage.total_tokens == whole.usage.total_tokens


def test_many_at_once_get_each_their_own_reply(url: str) -> None:
    """Fifty chats at the same time are all answered, none with another's reply."""

    async def asked() -> list[Any]:
        async with groq.AsyncGroq(api_key=KEY, base_url=url, max_retries=0) as client:
            create = client.chat.completions.create
            return await asyncio.gather(*(create(**asking(f"[[echo]]{n}")) for n in range(50)))

    replies = asyncio.run(asked())
    assert [reply.choices[0].message.content for reply in replies] == [str(n) for n in range(50)]
    assert len({reply.x_groq.id for reply in replies}) == 50


def test_a_json_schema_gets_json_that_fits(sdk: Sdk) -> None:
    """The content for a json_schema is JSON with its keys and its types."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "person", "schema": schema, "strict": True},
    }
    person = json.loads(sdk.chat("who?", response_format=wanted).choices[0].message.content)
    assert {key: type(value) for key, value in person.items()} == {"name": str, "age": int}


def test_every_reply_fits_the_sdks_own_types(slow: Sdk, slow_url: str) -> None:
    """A client with strict validation accepts the reply of every verb, if `errors` is the reference's."""
    strict = slow.strict()
    made = strict.batch_over(lines_of("[[echo]]one"))
    forward(slow_url, PACE_S)
    assert strict.look(made).status == "completed"
    assert strict.look(strict.batch_over(BAD_LINE)).status == "validating"
    forward(slow_url, PACE_S)
    assert strict.got(strict.client.batches.list()).data[0].status == "failed"
    assert strict.got(strict.client.batches.cancel(strict.batch_over(lines_of("one")).id)).id
    assert strict.info(made.input_file_id).purpose == "batch"
    assert made.input_file_id in [file.id for file in strict.files()]
    assert strict.got(strict.client.files.delete(made.input_file_id)).deleted
    assert strict.got(strict.client.models.list()).data
    assert strict.got(strict.client.models.retrieve(MODEL)).id == MODEL
    assert strict.chat("[[echo]]now").choices[0].message.content == "now"
    assert strict.all(strict.chat("[[echo]]now", stream=True))


def test_every_reply_has_a_request_id_of_its_own(sdk: Sdk) -> None:
    """Each verb's reply has an x-request-id, an error's too, and no two are the same."""
    made = sdk.batch_over(lines_of("one"))
    files = sdk.client.files.with_raw_response
    batches = sdk.client.batches.with_raw_response
    models = sdk.client.models.with_raw_response
    replies = [
        sdk.got(files.list()),
        sdk.got(files.info(made.input_file_id)),
        sdk.got(batches.list()),
        sdk.got(batches.retrieve(made.id)),
        sdk.got(models.list()),
        sdk.got(models.retrieve(MODEL)),
        sdk.got(files.delete(made.input_file_id)),
    ]
    with pytest.raises(groq.NotFoundError) as met:
        sdk.got(sdk.client.files.delete(made.input_file_id))
    ids = [reply.headers.get("x-request-id", "") for reply in [*replies, met.value.response]]
    assert [its_id.partition("_")[0] for its_id in ids] == ["req"] * len(ids)
    assert len(set(ids)) == len(ids)


def test_the_other_sdks_base_url_is_not_found(sdk: Sdk, url: str) -> None:
    """This SDK adds /openai/v1 by itself, so a base URL that has it already shows both in the refusal."""
    lost = sdk.but(base_url=f"{url}/openai/v1")
    with pytest.raises(groq.NotFoundError) as met:
        lost.got(lost.client.models.list())
    assert "/openai/v1/openai/v1/models" in sdk.error_in(met.value)["message"]


def test_a_stream_that_breaks_off_is_seen(sdk: Sdk, url: str) -> None:
    """Chunks that stop half-way end in httpx's error, which this SDK lets through, never as if whole."""
    arm(url, "reset_reply", on="POST /chat/completions")
    came = []
    with pytest.raises(httpx.RemoteProtocolError):
        came.extend(sdk.each(sdk.chat("[[echo]]" + "word " * 200, stream=True)))
    assert 1 < len(came) < 250
