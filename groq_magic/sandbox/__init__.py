"""The other side of the wire: Groq's Batch API, spoken by this machine, asking no model.

It speaks as https://console.groq.com/docs/batch says, so that every lesson, demo and test runs without a
key and without a network. It shares no line with the client: both are held to `tests/samples/`.

::

    serve      the sandbox on a socket
    app        the routes: what each answers, in Groq's error envelope
    gate       what every request passes: who asks, how much, what goes wrong on purpose
    faults     the one table of faults: marks in prompts, faults of requests
    rules      where the documents disagree, and what is chosen
    batches    what happens to a batch: created, looked at, cancelled, settled at its end
    timeline   (batch, clock) → where the batch stands; pure, so nothing runs in the background
    intake     an uploaded file → its faults, or the order in which its rows will be answered
    ordinary   what most lines are, checked while it is decoded
    results    an ended batch → its output lines and its error lines
    forms      an answered row's line, and that line with blanks
    replies    a request → its reply, by the prompt alone
    bodies     a request's body → what is wrong with it
    shaped     a JSON Schema → a value that fits it
    store      the one owner of every path
    refusals   the errors of the service itself
    models     the models it pretends to have
    ids        Groq's ids: a prefix and a ULID

State is a pure function of the store and the clock: a batch "goes on" while nothing runs, and a restart
changes nothing. Start reading at `batches.Batches`.
"""

from .app import create_app
from .rules import SAYS as RULES
from .rules import Rules, choices, chosen
from .serve import serve
from .store import NoHome

__all__ = ["RULES", "NoHome", "Rules", "choices", "chosen", "create_app", "serve"]
