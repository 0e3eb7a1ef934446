"""`%groq models`, and the names by which a model can be called."""

from dataclasses import replace

import pytest

from groq_magic import keys, models, prices, services
from groq_magic.errors import InputError, NoReply, Refused
from groq_magic.models import Models, Offer
from groq_magic.settings import Settings, checked_model
from tests.line import MODELS, Gate, Line, line, pauses, refuses, says
from tests.markup import HOSTILE, read

__all__ = ["line", "pauses"]  # fixtures

AN_OFFER = Offer("openai/gpt-oss-20b", 0.075, 0.30, 131_072, 65_536, True)


def shown(line: Line, *rows: dict[str, object]) -> Models:
    """The table where the service lists these models."""
    line.on(MODELS, says(200, {"data": list(rows)}))
    return models.listed()


def test_every_model_of_the_service_has_a_row(line: Line) -> None:
    """What the sandbox lists is there, those first that work in a batch, with Groq's prices where known."""
    found = models.listed()
    cells = {offer.id: offer.cells[1:] for offer in found.offers}
    yes = ("$0.075 / $0.30", "$0.0375 / $0.15", "131,072", "65,536", "yes")
    assert cells["openai/gpt-oss-20b"] == yes
    assert cells["openai/gpt-oss-120b"][1] == "$0.075 / $0.30"
    assert cells["qwen/qwen3.8-27b"][-1] == "unknown"
    batch = [offer.batch for offer in found.offers]
    assert batch == sorted(batch, key=lambda known: known is not True)
    text = found._repr_mimebundle_()["text/plain"]
    assert text.splitlines()[0].split("  ")[0] == "model"
    assert "In the sandbox they cost nothing." in text
    assert prices.AS_OF in text
    assert prices.SOURCE in text


@pytest.mark.parametrize(
    ("offer", "batch"),
    [
        (replace(AN_OFFER, id="new/model", prompt_usd=None, completion_usd=None, batch=None), "unknown"),
        (replace(AN_OFFER, completion_usd=None, batch=None), "unknown"),
        (replace(AN_OFFER, prompt_usd=None), "yes"),
    ],
)
def test_no_price_is_invented(offer: Offer, batch: str) -> None:
    """Where a price is not known, or whether there are batches, the cell says so and holds no number."""
    _, on_demand, in_batch, *_, works = offer.cells
    assert (on_demand, in_batch, works) == ("not known here", "not known here", batch)


def test_a_model_that_does_not_batch_has_no_price_in_one() -> None:
    """Its price on demand stands, and a dash beside it; an unconfirmed batch has none either."""
    assert replace(AN_OFFER, batch=False).cells[1:3] == ("$0.075 / $0.30", "–")
    assert replace(AN_OFFER, batch=None).cells[1:3] == ("$0.075 / $0.30", "not known here")


def test_what_cannot_be_used_is_not_offered(line: Line) -> None:
    """Models that are shut down or not active are counted and have no row; what nobody knows has one."""
    gone = next(model.id for model in prices.MODELS if model.status.startswith("shut down"))
    rows = [{"id": gone}, {"id": "off", "active": False}, {"id": "new/model", "context_window": 9_000}]
    found = shown(line, *rows)
    assert [offer.cells for offer in found.offers] == [
        ("new/model", "not known here", "not known here", "9,000", "–", "unknown")
    ]
    assert "2 more are shut down or not active." in found._repr_mimebundle_()["text/plain"]
    assert "1 more is shut" in shown(line, *rows[1:])._repr_mimebundle_()["text/html"]


def test_a_service_without_models_says_so(line: Line) -> None:
    """An empty list is a sentence and no empty table."""
    for said in shown(line)._repr_mimebundle_().values():
        assert "The sandbox lists no models for this key." in said


def test_names_from_the_service_are_text(line: Line) -> None:
    """A model's name can neither become markup nor move a terminal's cursor."""
    page = shown(line, {"id": "\x1b[2J" + HOSTILE})._repr_mimebundle_()
    assert read(page["text/html"]).tags == {"table", "thead", "tbody", "tr", "th", "td", "code", "p"}
    assert "\x1b" not in page["text/plain"]
    assert "<script" in page["text/plain"]


def test_what_goes_wrong_is_one_line(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused key leads to `%groq key`; another refusal and a silence are said as they are."""
    line.on(MODELS, refuses(401, "Invalid API Key", "invalid_api_key"), refuses(503, "busy"), gate := Gate())
    with pytest.raises(InputError, match=r"does not accept the key from the sandbox: %groq key asks"):
        models.listed()
    with pytest.raises(Refused, match="503"):
        models.listed()
    monkeypatch.setattr(models, "_ASK_S", 0.05)
    with pytest.raises(NoReply, match=r"The sandbox did not answer in 0\.05 s\."):
        models.listed()
    gate.opened.set()


def test_without_a_key_nobody_is_asked(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the one that names the ways to give a key."""
    services.use_groq()
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with pytest.raises(keys.KeyMissing):
        models.listed()
    assert line.asked == []


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("gpt-oss-20b", "openai/gpt-oss-20b"),
        ("oss-20b", "openai/gpt-oss-20b"),
        ("gpt-oss-120b", "openai/gpt-oss-120b"),
        ("120b", "openai/gpt-oss-120b"),
        ("safeguard-20b", "openai/gpt-oss-safeguard-20b"),
        ("whisper-large-v3", "whisper-large-v3"),
        ("ss-20b", "ss-20b"),
        ("0b", "0b"),
        ("gpt-oss-20", "gpt-oss-20"),
        ("gpt-oss", "gpt-oss"),
        ("openai/gpt-os-20b", "openai/gpt-os-20b"),
        ("openai/gpt-oss-20b-mine", "openai/gpt-oss-20b-mine"),
        ("GPT-OSS-20B", "GPT-OSS-20B"),
        ("compound", "compound"),
        (".*", ".*"),
    ],
)
def test_the_end_of_a_models_name_is_enough(typed: str, meant: str) -> None:
    """Whole words at the end of one model in use name it; every other name goes to the service as it is."""
    assert checked_model(typed) == Settings(model=typed).model == meant


def test_an_end_that_several_models_share_is_refused_with_their_names() -> None:
    """One line names those that may be meant."""
    with pytest.raises(InputError) as caught:
        checked_model("20b")
    assert caught.value.message == (
        "Several models end in '20b': type openai/gpt-oss-20b or openai/gpt-oss-safeguard-20b."
    )
