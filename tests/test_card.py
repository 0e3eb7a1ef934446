"""The card as a widget: when it is drawn anew, what is sent for it, what its buttons do, how it ends."""

from __future__ import annotations

import asyncio
import re
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import comm
import ipywidgets
import pytest
from comm.base_comm import BaseComm
from IPython.core.displaypub import CapturingDisplayPublisher

from groq_magic import client, ledger, loop
from groq_magic import job as jobs
from groq_magic.card import picture, widget, words
from groq_magic.card.widget import Card
from groq_magic.job import Snapshot
from tests import offline
from tests.gallery import hand, idle_card
from tests.states import AT, DONE, RUNNING, SENDING


class Frontend:
    """What a notebook's page would have been sent."""

    def __init__(self, publisher: CapturingDisplayPublisher) -> None:
        self.messages: list[tuple[str, str, dict[str, Any]]] = []
        self.sent: list[tuple[float, str]] = []  # when what was updated: a widget's or an output's id
        self._publisher = publisher

    def comm(self, **options: Any) -> BaseComm:
        """The line of one widget."""
        return _Comm(self, **options)

    def updates(self, part: ipywidgets.HTML) -> list[str]:
        """The values that a widget was given after it was opened."""
        return [
            data["state"]["value"]
            for kind, comm_id, data in self.messages
            if kind == "comm_msg" and comm_id == part.model_id and "value" in data.get("state", {})
        ]

    def closed(self) -> list[str]:
        """The ids of the widgets that were closed, as often as they were."""
        return [comm_id for kind, comm_id, _ in self.messages if kind == "comm_close"]

    @property
    def displays(self) -> list[dict[str, Any]]:
        """What was displayed or updated, in order: `data`, `transient`, `update`."""
        found: list[dict[str, Any]] = self._publisher.outputs
        return found


class _Publisher(CapturingDisplayPublisher):  # type: ignore[misc]
    frontend: Frontend

    def publish(self, *args: Any, **kwargs: Any) -> None:
        super().publish(*args, **kwargs)
        if kwargs.get("update"):
            self.frontend.sent.append((time.monotonic(), kwargs["transient"]["display_id"]))


class _Comm(BaseComm):
    def __init__(self, frontend: Frontend, **options: Any) -> None:
        self._frontend = frontend
        super().__init__(**options)

    def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
        self._frontend.messages.append((msg_type, self.comm_id, data or {}))
        if msg_type == "comm_msg":
            self._frontend.sent.append((time.monotonic(), self.comm_id))


@pytest.fixture
def frontend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Frontend]:
    """An IPython whose outputs and widgets are recorded as they leave it."""
    with offline.ipython() as shell:
        shell.display_pub = _Publisher()
        opened = shell.display_pub.frontend = Frontend(shell.display_pub)
        monkeypatch.setattr(comm, "create_comm", opened.comm)
        yield opened


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards draw each part when it changes."""
    monkeypatch.setattr("groq_magic.card.widget._EVERY_S", 0)
    monkeypatch.setattr("groq_magic.card.widget._SHARE_S", 0)


def test_a_card_draws_at_most_twice_a_second(frontend: Frontend) -> None:
    """Of many snapshots at once the first is drawn, and then, half a second on, only the last."""
    card = idle_card()
    steps = [replace(RUNNING, served=n) for n in range(10, 50)]
    hand(card, *steps)
    main = card._parts["main"]
    assert frontend.updates(main) == [picture.main(steps[0])]
    offline.until(lambda: len(frontend.updates(main)) > 1)
    assert frontend.updates(main) == [picture.main(steps[0]), picture.main(steps[-1])]
    first, second = (at for at, part in frontend.sent if part == main.model_id)
    assert second - first >= 0.5


def test_a_change_of_state_is_sent_part_by_part(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where several parts change at once, each is a message of its own, and they do not come together."""
    monkeypatch.setattr("groq_magic.card.widget._EVERY_S", 0.05)
    card = idle_card()
    hand(card, SENDING)
    before = len(frontend.sent)
    last = replace(RUNNING, status="finalizing", first_answers=DONE.first_answers)
    hand(card, last)
    offline.until(lambda: list(card._drawn.values()).count(picture.details(last)))
    offline.until(lambda: len(frontend.sent) == before + 5)
    times = [at for at, _ in frontend.sent[before:]]
    assert min(later - at for at, later in pairwise(times)) >= 0.05
    assert card._drawn == {name: of(last) for name, of in widget._PARTS.items()}


def test_a_new_state_is_seen_first_where_it_stands_large(
    frontend: Frontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the parts that change with the state, the main one does not wait for the others."""
    monkeypatch.setattr("groq_magic.card.widget._EVERY_S", 0.05)
    card = idle_card()
    hand(card, RUNNING, replace(RUNNING, served=500))
    offline.until(lambda: len(frontend.updates(card._parts["main"])) == 2)
    before = len(frontend.sent)
    last = replace(RUNNING, served=500, cancelling=True)
    hand(card, last)
    offline.until(lambda: card._drawn == {name: of(last) for name, of in widget._PARTS.items()})
    main = [part for _, part in frontend.sent[before:]].index(card._parts["main"].model_id)
    others = [card._parts[name].model_id for name in ("spoken", "found", "details")]
    assert not any(part in others for _, part in frontend.sent[before : before + main])


def test_a_snapshot_that_comes_as_a_turn_is_due_does_not_double_it(
    frontend: Frontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the loop was held up, no two messages of a card leave together."""
    monkeypatch.setattr("groq_magic.card.widget._EVERY_S", 0.05)
    card = idle_card()
    last = replace(RUNNING, served=500)

    async def held_up() -> None:
        card(SENDING)
        card(RUNNING)
        time.sleep(0.1)  # noqa: ASYNC251 (that is the point)
        card(last)

    before = len(frontend.sent)
    loop.run(held_up())
    offline.until(lambda: card._drawn == {name: of(last) for name, of in widget._PARTS.items()})
    first, *after = (at for at, _ in frontend.sent[before + 4 :])  # four parts, all at once at first
    assert min(later - at for at, later in pairwise([first, *after])) >= 0.05


def test_many_cards_share_what_may_be_sent(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The more cards are live, the longer each waits; one that has ended counts no more."""
    monkeypatch.setattr("groq_magic.card.widget._EVERY_S", 0)
    monkeypatch.setattr("groq_magic.card.widget._SHARE_S", 0.05)
    monkeypatch.setattr("groq_magic.card.widget._live", weakref.WeakSet())
    cards = [idle_card() for _ in range(4)]
    hand(cards[0], RUNNING, replace(RUNNING, served=500))
    offline.until(lambda: len(frontend.updates(cards[0]._parts["main"])) == 2)
    first, second = (at for at, part in frontend.sent if part == cards[0]._parts["main"].model_id)
    assert second - first >= 0.2
    for card in cards[1:]:
        hand(card, DONE)
    assert list(widget._live) == cards[:1]


def test_unchanged_parts_are_not_sent_again(frontend: Frontend, at_once: None) -> None:
    """When only numbers change, only what shows them is sent: what a reader unfolded stays so."""
    card = idle_card()
    hand(card, *[replace(RUNNING, served=n) for n in (10, 20, 30)])
    hand(card, replace(RUNNING, served=30))
    sent = {name: len(frontend.updates(part)) for name, part in card._parts.items()}
    assert sent == {"main": 3, "found": 0, "details": 1, "spoken": 1, "hint": 0}
    assert sum("<style>" in str(data) for kind, _, data in frontend.messages if kind == "comm_msg") == 0
    assert sum("<style>" in str(data) for kind, _, data in frontend.messages if kind == "comm_open") == 1


def test_nothing_is_sent_while_only_time_passes(frontend: Frontend, at_once: None) -> None:
    """A check that brings nothing new is told by the minute, and else sends no message at all."""
    card, now = idle_card(), 60.0 * (AT // 60)
    history = tuple((now - 10 + n, 90 * n) for n in range(11))
    state = replace(RUNNING, history=history, served=900)
    assert "s more" in words.left(replace(state, now=now))  # what would be said anew each second
    hand(card, replace(state, now=now, checked_at=now))
    before = len(frontend.messages), len(frontend.displays)
    hand(card, *[replace(state, now=now + n, checked_at=now + n) for n in range(60)])
    assert (len(frontend.messages), len(frontend.displays)) == before
    hand(card, replace(state, now=now + 60, checked_at=now + 60))
    assert (len(frontend.messages), len(frontend.displays)) == (before[0] + 1, before[1])


def test_the_receipt_is_updated_at_changes_of_state_only(frontend: Frontend, at_once: None) -> None:
    """The output that a saved notebook keeps changes with the state, not with each count."""
    card = idle_card()
    receipt_id = frontend.displays[0]["transient"]["display_id"]
    steps = [SENDING, *[replace(RUNNING, served=n) for n in range(5)], replace(RUNNING, status="finalizing")]
    hand(card, *steps)
    kept = [each["data"] for each in frontend.displays if each["update"]]
    assert [data["text/html"] for data in kept] == [
        picture.receipt(step) for step in (SENDING, RUNNING, steps[-1])
    ]
    assert {each["transient"]["display_id"] for each in frontend.displays if each["update"]} == {receipt_id}


def test_the_end_leaves_one_static_card(frontend: Frontend) -> None:
    """At the end the receipt becomes the card for good, and the widget's output is emptied."""
    card = idle_card()
    hand(card, RUNNING)
    receipt_id, card_id = (each["transient"]["display_id"] for each in frontend.displays[:2])
    drawn = len(frontend.displays)
    hand(card, DONE)
    assert [(each["transient"]["display_id"], each["data"]) for each in frontend.displays[drawn:]] == [
        (receipt_id, {"text/html": picture.static(DONE), "text/plain": words.text(DONE)}),
        (card_id, {"text/html": "", "text/plain": ""}),
    ]


def test_a_page_that_missed_the_end_finds_it_in_the_widget(frontend: Frontend) -> None:
    """The widget lives on with the end card in it and nothing else, for a page that is opened again."""
    card = idle_card()
    hand(card, RUNNING, DONE)
    (kept,) = card._box.children
    assert kept.value == picture.static(DONE)
    closed = frontend.closed()
    assert not {card._box.model_id, kept.model_id} & {*closed}
    assert len(closed) == len(set(closed))
    parts = (card._check, card._right, card._yes, card._buttons, *card._parts.values())
    models = [model for part in parts if part is not kept for model in (part, part.layout)]
    models += [button.style for button in (card._check, card._right, card._yes)]
    assert all(model.comm is None for model in models)


def test_who_waited_is_shown_the_end_again(frontend: Frontend) -> None:
    """Told the end once more, on any thread, the card repeats its outputs and closes nothing twice."""
    card = idle_card()
    hand(card, RUNNING, DONE)
    closed, before = frontend.closed(), len(frontend.displays)
    card(DONE)
    final = frontend.displays[before:]
    assert [each["data"] for each in final] == [
        each["data"] for each in frontend.displays[before - 2 : before]
    ]
    assert final[0]["data"]["text/html"] == picture.static(DONE)
    assert frontend.closed() == closed


def test_nothing_is_drawn_after_the_end(frontend: Frontend, at_once: None) -> None:
    """A snapshot of before that comes late changes nothing any more."""
    card = idle_card()
    hand(card, RUNNING, replace(RUNNING, served=500), DONE)
    before = len(frontend.displays), len(frontend.messages)
    hand(card, replace(RUNNING, served=600))
    assert (len(frontend.displays), len(frontend.messages)) == before


# --- buttons --------------------------------------------------------------------------------------------


@pytest.fixture
def batch(frontend: Frontend, tmp_path: Path) -> Iterator[Card]:
    """The card of a batch that takes an hour."""
    with offline.home(tmp_path):
        answers = offline.ask(["Wait for me"], pace_s=3_600)
        card = Card(answers)
        client.watch(answers, card)
        yield card


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever clicks lets some time pass in between."""
    monkeypatch.setattr("groq_magic.card.widget._TWICE_S", 0)


def offered(card: Card) -> dict[str, ipywidgets.Button]:
    """The buttons that are offered now, by their words."""
    shown = [each for each in card._buttons.children if isinstance(each, ipywidgets.Button)]
    return {each.description: each for each in shown if each.layout.display != "none"}


def buttons(card: Card) -> list[str]:
    """What they say."""
    return list(offered(card))


def button(card: Card, word: str) -> ipywidgets.Button:
    """The button that says this now."""
    return offered(card)[word]


def press(card: Card, *words: str) -> None:
    """Presses buttons, one right after the other; returns when what they do was begun on the loop."""
    for word in words:
        button(card, word).click()
    loop.run(asyncio.sleep(0))


def cancelled() -> bool:
    """Whether the batch was asked to end."""
    (job,) = ledger.current().jobs()
    return job.cancel_requested_at is not None


def test_cancel_asks_once_and_then_cancels(batch: Card, patient: None) -> None:
    """The button asks; `Keep it` leaves the batch alone, and `Yes` cancels it."""
    assert buttons(batch) == ["Check now", "Cancel…"]
    press(batch, "Cancel…")
    assert buttons(batch) == ["Yes, cancel it", "Keep it"]
    assert "answered by then are paid and kept" in batch._parts["hint"].value
    press(batch, "Keep it")
    assert buttons(batch) == ["Check now", "Cancel…"]
    assert not cancelled()
    press(batch, "Cancel…")
    press(batch, "Yes, cancel it")
    assert buttons(batch) == ["Check now"]
    offline.until(cancelled)


def test_the_button_that_cancelled_asks_from_then_on(seldom: None, batch: Card, patient: None) -> None:
    """`Yes` becomes `Check now`, so that the keyboard's focus stays in the card, and it asks."""
    press(batch, "Cancel…")
    yes = button(batch, "Yes, cancel it")
    press(batch, "Yes, cancel it")
    assert button(batch, "Check now") is yes
    press(batch, "Check now")
    assert batch._asking_since is not None


def test_a_cancel_that_could_not_be_begun_is_offered_again(
    batch: Card, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the wish cannot be put on the ledger, the card says so rather than that it is cancelling."""

    def full(*args: object, **facts: object) -> None:
        raise OSError(28, "No space left on device")

    press(batch, "Cancel…")
    with monkeypatch.context() as disk:
        disk.setattr(ledger.Ledger, "update_job", full)
        press(batch, "Yes, cancel it")
        offline.until(lambda: "No space left on device" in batch._parts["hint"].value)
    assert buttons(batch) == ["Check now", "Cancel…"]
    assert not cancelled()


def test_a_double_click_asks_and_answers_nothing(batch: Card) -> None:
    """A second click right after the first, on either button, is not taken for an answer to the question."""
    for second in (button(batch, "Cancel…"), button(batch, "Check now")):
        button(batch, "Cancel…").click()
        second.click()
        loop.run(asyncio.sleep(0))
        assert buttons(batch) == ["Yes, cancel it", "Keep it"]
        assert not cancelled()
        batch._clicked_at = 0.0
        press(batch, "Keep it")
        batch._clicked_at = 0.0


def test_a_click_that_waited_is_not_taken_for_an_answer(batch: Card, patient: None) -> None:
    """What was clicked before the question could be seen never answers it with Yes, however late."""
    cancel, check = button(batch, "Cancel…"), button(batch, "Check now")
    for late in (check, cancel, check):
        cancel.click()
        loop.run(asyncio.sleep(0))
        late.click()
        loop.run(asyncio.sleep(0))
        assert not cancelled()


def test_a_retry_of_a_cancelled_batch_can_be_cancelled(
    frontend: Frontend, tmp_path: Path, patient: None
) -> None:
    """The card of a retry offers its buttons, whatever became of the batch before."""
    with offline.home(tmp_path):
        answers = offline.ask([f"Wait for me {n}" for n in range(3)], pace_s=3)
        answers.cancel()
        assert set(answers.wait(30).counts) == {"cancelled"}
        assert answers.retry() is answers
        card = Card(answers)
        client.watch(answers, card)
        assert buttons(card) == ["Check now", "Cancel…"]
        press(card, "Cancel…")
        press(card, "Yes, cancel it")
        offline.until(lambda: client.look(answers).cancelling)
        assert buttons(card) == ["Check now"]


def test_what_cannot_be_drawn_does_not_hide_the_end(
    frontend: Frontend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that breaks while the batch runs stays as it was, and the end is drawn all the same."""

    def broken(snapshot: Snapshot) -> str:
        raise RuntimeError("no such colour")

    monkeypatch.setitem(widget._PARTS, "main", broken)
    with offline.home(tmp_path):
        answers = offline.ask(["[[echo]]there"], pace_s=0.2)
        card = Card(answers)
        client.watch(answers, card)
        answers.wait(30)
        offline.until(lambda: card._closed)
        assert "Answered." in frontend.displays[-2]["data"]["text/html"]


def test_a_batch_that_is_cancelled_elsewhere_offers_no_cancel(batch: Card) -> None:
    """Where another card or a command has cancelled the batch, this card says so and can only ask."""
    hand(batch, replace(RUNNING, cancelling=True))
    assert buttons(batch) == ["Check now"]
    assert "Cancelling" in batch._parts["hint"].value


def test_a_card_that_is_left_says_so(frontend: Frontend, at_once: None) -> None:
    """Where nobody watches any more, the card says what takes the batch up again, and offers nothing."""
    card = idle_card()
    hand(card, RUNNING)
    widget.leave()
    assert "%groq attach" in card._parts["hint"].value
    assert buttons(card) == []
    before = len(frontend.messages)
    hand(card, replace(RUNNING, served=500))
    assert len(frontend.messages) == before


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself nothing is asked for a minute."""
    monkeypatch.setattr(jobs, "ask_again_s", lambda age_s: 60.0)


def test_check_now_says_that_it_was_heard(seldom: None, batch: Card, patient: None) -> None:
    """The hint says that Groq is being asked, and when the reply has come, of what time it is."""
    offline.until(lambda: batch._answers.batch_ids)
    press(batch, "Check now")
    offline.until(lambda: re.search(r"Asked at \d\d:\d\d:\d\d\. While any cell", batch._parts["hint"].value))
    assert buttons(batch) == ["Check now", "Cancel…"]


def test_check_now_asks_for_those_who_ask_for_us(seldom: None, batch: Card, patient: None) -> None:
    """Where another batch brings all the answers, that one is asked about."""
    offline.until(lambda: batch._answers.batch_ids)
    other = offline.ask(["Wait for me"], pace_s=3_600, name="other", unique=True)
    card = Card(other)
    client.watch(other, card)
    press(card, "Check now")
    offline.until(lambda: "Asked at" in card._parts["hint"].value)


def test_clicks_from_many_threads_act_once(batch: Card) -> None:
    """A callback may be run on any thread, by a subshell for instance: the loop does what it says, once."""
    threads = [threading.Thread(target=button(batch, "Cancel…").click) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loop.run(asyncio.sleep(0))
    assert buttons(batch) == ["Yes, cancel it", "Keep it"]


def test_check_now_asks_at_once(seldom: None, frontend: Frontend, tmp_path: Path, patient: None) -> None:
    """`Check now` has the batch asked about at once, so that its end is seen without waiting for the turn."""
    with offline.home(tmp_path):
        answers = offline.ask(["[[echo]]there"], pace_s=0)
        card = Card(answers)
        client.watch(answers, card)
        offline.until(lambda: answers.batch_ids)
        while not answers.done:
            press(card, "Check now")
        assert answers.texts == ["there"]
        assert card._closed
