"""What a live card sends and hears in real kernels: few messages, small ones, and clicks from anywhere."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest

from tests.kernel import Kernel, Message

pytestmark = pytest.mark.kernel

START = "%load_ext groq_magic\n%groq sandbox"
SLOW = "%load_ext groq_magic\nfrom groq_magic import services\nservices.use_sandbox(pace_s=3600); None"
PHASE = "from groq_magic import client\nprint(client.look(answers).phase)"
BATCH = "prompts = [f'Name {n} colours.' for n in range(1200)]\n%groq_batch answers --from prompts"


def of_cards(kernel: Kernel, since: float) -> list[Message]:
    """What was published for cards since then (time.time()) until their end, in order."""
    with kernel.published.changed:
        messages = [each for each in kernel.published.messages if each.sent > since]
    shown = [each for each in messages if each.type in ("comm_msg", "update_display_data")]
    ended = [n for n, each in enumerate(shown) if "gm-card" in str(each.content.get("data"))]
    return shown[: ended[0]] if ended else shown


def test_a_running_card_sends_at_most_two_small_messages_a_second(any_kernel: Kernel) -> None:
    """From its cell's end to the batch's, no two messages come within half a second, none is over 4 KB."""
    any_kernel.run(START)
    assert any_kernel.run(BATCH).status == "ok"
    since = time.time()
    assert any_kernel.run("import time\nwhile not answers.done: time.sleep(0.1)").status == "ok"
    sent = of_cards(any_kernel, since)
    assert len(sent) > 5
    assert min(after.sent - before.sent for before, after in pairwise(sent)) >= 0.49
    assert max(len(json.dumps(each.content, ensure_ascii=False).encode()) for each in sent) < 4_096


def test_a_card_is_silent_while_nothing_changes(kernel: Kernel) -> None:
    """Of a batch that stands still a card sends nothing but the minute of its last check."""
    kernel.run(SLOW)
    kernel.run("%groq_batch answers --from ['Wait for me']")
    kernel.wait_until(lambda: "at_groq" in kernel.run(PHASE).stdout, what="the batch to be there")
    kernel.run("import time\ntime.sleep(3.5)")  # what has changed until now has been drawn
    since = time.time()
    kernel.run("time.sleep(4)")
    assert len(of_cards(kernel, since)) <= 1


def test_cancel_is_two_clicks(any_kernel: Kernel) -> None:
    """The first click asks, the second cancels, whichever kernel it is; then no button is left."""
    any_kernel.run(START)
    any_kernel.run("%groq_batch answers --from ['Wait for me']")
    any_kernel.click("Cancel…")
    any_kernel.wait_until(lambda: "Keep it" in any_kernel.buttons(), what="the card to ask")
    time.sleep(0.6)  # a click right after another counts as the same one
    any_kernel.click("Yes, cancel it")
    ended = any_kernel.run("answers.wait(60); print(answers.counts)")
    assert "'cancelled': 1" in ended.stdout
    assert any_kernel.buttons() == []


def test_a_click_on_a_subshell_acts_once(subshell_kernel: Kernel) -> None:
    """Newer frontends send clicks to a thread beside the running cell: the card asks, once."""
    subshell_kernel.run(SLOW)
    subshell_kernel.run("%groq_batch answers --from ['Wait for me']")
    subshell = subshell_kernel.open_subshell()
    busy = subshell_kernel.send("import time\ntime.sleep(2)")
    subshell_kernel.wait_until_busy(busy)
    subshell_kernel.click("Cancel…", subshell, times=2)
    subshell_kernel.wait_for([busy])
    subshell_kernel.wait_until(lambda: "Keep it" in subshell_kernel.buttons(), what="the card to ask")
    assert subshell_kernel.run("print(answers.counts)").stdout == "{'pending': 1}\n"
