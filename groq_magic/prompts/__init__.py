"""Prompts: a cell's body or a source becomes the prompts of one submission, checked and in order.

::

    body        the text under `%%groq_batch`, split into its prompts
    kinds       the table of everything that `--from` takes
    sources     the way from a source, as a whole or piece by piece, to its prompts
    refusals    what is said to everything else
    streams     sources that come piece by piece: iterators, asynchronous ones; `files` the same for files
    rows        one view of a source or a piece of one; `tables` the same for frames (brings Narwhals)
    asking      what is asked of each row: template, system message, id; rows that miss a value
    templates   `{{ }}` and `{% %}`, compiled once and filled for each row
    names       what each word in a template stands for (both bring Jinja)
    checks      what a prompt is, and what each must pass
    blocks      items a few hundred at a time, so that what is plain is seen in one go
    rules       what Groq's documents say of a request's body
    values      what JSON can hold

Reading is lazy: `Prompts.items` renders and checks while the shards are cut. Start at `sources.from_source`.
"""

from groq_magic.prompts.body import from_body
from groq_magic.prompts.checks import Line, Message, Prompt, Prompts, Skipped, first, surrogate_error
from groq_magic.prompts.sources import MAX_PROMPTS, from_source

__all__ = [
    "MAX_PROMPTS",
    "Line",
    "Message",
    "Prompt",
    "Prompts",
    "Skipped",
    "first",
    "from_body",
    "from_source",
    "surrogate_error",
]
