"""What only OpenAI's SDK has, sync and async, against a sandbox on a socket.

It wants the base URL with `/openai/v1`, and an error's `body` is what is inside Groq's envelope.
https://console.groq.com/docs/openai
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import openai
import pydantic
import pytest

from tests.desk import lines_of
from tests.sdks import MODEL, Sdk, asking
from tests.sockets import arm


class City(pydantic.BaseModel):
    """What a model is asked for."""

    name: str
    size: Literal["small", "large"]
    people: int
    rivers: list[str]


@pytest.fixture(scope="module", params=[openai.OpenAI, openai.AsyncOpenAI])
def kind(request: pytest.FixtureRequest) -> Any:
    """The SDK's client: the sync one, and the async one."""
    return request.param


def test_content_comes_in_every_way_the_sdk_has(sdk: Sdk, tmp_path: Path) -> None:
    """text, content, read, iter_lines and write_to_file give what went up, byte for byte."""
    sent = lines_of("[[echo]]Zürich\u2028 – one line", "two").encode()
    file = sdk.upload(sent.decode())
    content = sdk.got(sdk.client.files.content(file.id))
    assert (content.text, content.content, content.read()) == (sent.decode(), sent, sent)
    assert b"".join(content.iter_bytes()) == sent
    # httpx's iter_lines splits as str.splitlines does, so also at U+2028.
    assert list(content.iter_lines()) == sent.decode().splitlines()
    content.write_to_file(tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == sent
    with sdk.within(sdk.client.files.with_streaming_response.content(file.id)) as reply:
        assert reply.headers["content-type"] == "application/octet-stream"
        sdk.got(reply.stream_to_file(tmp_path / "streamed"))
    assert (tmp_path / "streamed").read_bytes() == sent


def test_what_only_openais_batches_have_is_none(sdk: Sdk) -> None:
    """A batch's `model` and `usage`, which Groq's have not, are None, and no trouble."""
    batch = sdk.look(sdk.batch_over(lines_of("one")))
    assert (batch.status, batch.model, batch.usage) == ("completed", None, None)


def test_all_pages_of_models_are_one(sdk: Sdk) -> None:
    """The SDK's own paging comes to an end, and gives what is in the one list."""
    models = sdk.all(sdk.client.models.list())
    assert MODEL in [model.id for model in models]
    assert models == sdk.got(sdk.client.models.list()).data


def test_a_usage_that_was_asked_for_is_the_last_chunk(sdk: Sdk) -> None:
    """With `include_usage` a stream ends with one chunk more, which has no choices and the whole usage."""
    *_, last = sdk.all(sdk.chat("[[echo]]now", stream=True, stream_options={"include_usage": True}))
    assert (last.choices, last.usage.to_dict()) == ([], sdk.chat("[[echo]]now").usage.to_dict())


def test_the_stream_helper_puts_a_reply_together(sdk: Sdk) -> None:
    """The SDK's own `stream` ends with a completion that is the reply, its content told of in events."""
    with sdk.within(sdk.client.chat.completions.stream(**asking("[[echo]]one two three"))) as stream:
        told = "".join(event.delta for event in sdk.all(stream) if event.type == "content.delta")
        reply = sdk.got(stream.get_final_completion())
    assert (told, reply.choices[0].message.content) == ("one two three", "one two three")
    assert reply.choices[0].finish_reason == "stop"


def test_parse_gives_the_asked_model(sdk: Sdk) -> None:
    """`parse` asks with a json_schema and comes back with the pydantic model, filled."""
    reply = sdk.got(sdk.client.chat.completions.parse(**asking("Which city?"), response_format=City))
    city = reply.choices[0].message.parsed
    assert isinstance(city, City)
    assert city == City.model_validate_json(reply.choices[0].message.content)


def test_parse_of_a_cut_reply_is_a_length_error(sdk: Sdk) -> None:
    """A text that stops half-way is the SDK's LengthFinishReasonError, with the completion in it."""
    with pytest.raises(openai.LengthFinishReasonError) as met:
        sdk.got(sdk.client.chat.completions.parse(**asking("[[cut]]Which city?")))
    assert met.value.completion.choices[0].finish_reason == "length"
    assert met.value.completion.usage.completion_tokens > 0


def test_json_that_is_cut_is_a_failed_generation(sdk: Sdk) -> None:
    """JSON that stops half-way is a BadRequestError at Groq, so `parse` never sees half a document."""
    with pytest.raises(openai.BadRequestError) as met:
        sdk.got(sdk.client.chat.completions.parse(**asking("[[cut]]Which city?"), response_format=City))
    error = sdk.error_in(met.value)
    assert error["code"] == "json_validate_failed"
    assert "max completion tokens reached" in error["failed_generation"]


def test_a_chat_reply_has_its_id_in_each_of_its_forms(sdk: Sdk) -> None:
    """`_request_id` of a reply, and `request_id` of a raw and of a streaming one, are the id in `x_groq`."""
    completions = sdk.client.chat.completions
    reply = sdk.chat("[[echo]]now")
    assert reply._request_id == reply.x_groq["id"]
    raw = sdk.got(completions.with_raw_response.create(**asking("[[echo]]now")))
    assert raw.request_id == raw.parse().x_groq["id"]
    with sdk.within(completions.with_streaming_response.create(**asking("[[echo]]now"))) as streaming:
        assert streaming.request_id == sdk.got(streaming.parse()).x_groq["id"]


def test_every_reply_has_a_request_id_of_its_own(sdk: Sdk) -> None:
    """What each verb gives has a `_request_id`, an error has a `request_id`, and no two are the same."""
    file = sdk.upload(lines_of("one"))
    made = sdk.create(file.id)
    given = [
        file,
        made,
        sdk.got(sdk.client.files.list()),
        sdk.info(file.id),
        sdk.got(sdk.client.batches.list()),
        sdk.look(made),
        sdk.got(sdk.client.models.list()),
        sdk.got(sdk.client.models.retrieve(MODEL)),
        sdk.got(sdk.client.files.delete(file.id)),
    ]
    with pytest.raises(openai.NotFoundError) as met:
        sdk.got(sdk.client.files.delete(file.id))
    ids = [*(str(value._request_id) for value in given), str(met.value.request_id)]
    assert [its_id.partition("_")[0] for its_id in ids] == ["req"] * len(ids)
    assert len(set(ids)) == len(ids)


def test_another_purpose_than_batch_is_a_bad_request(sdk: Sdk) -> None:
    """Of the purposes that this SDK knows Groq has one, and the others are named in `param`."""
    with pytest.raises(openai.BadRequestError) as met:
        sdk.got(sdk.client.files.create(file=("in.jsonl", lines_of("one").encode()), purpose="fine-tune"))
    assert sdk.error_in(met.value)["param"] == "purpose"


def test_the_other_sdks_base_url_is_not_found(sdk: Sdk, url: str) -> None:
    """This SDK adds no /openai/v1, so a base URL without it shows the bare path in the refusal."""
    lost = sdk.but(base_url=url)
    with pytest.raises(openai.NotFoundError) as met:
        lost.got(lost.client.models.retrieve(MODEL))
    assert f"GET /models/{MODEL}" in sdk.error_in(met.value)["message"]


def test_a_stream_that_breaks_off_is_a_connection_error(sdk: Sdk, url: str) -> None:
    """Chunks that stop half-way end in an APIConnectionError, never as if the reply were whole."""
    arm(url, "reset_reply", on="POST /chat/completions")
    came = []
    with pytest.raises(openai.APIConnectionError):
        came.extend(sdk.each(sdk.chat("[[echo]]" + "word " * 200, stream=True)))
    assert 1 < len(came) < 250
