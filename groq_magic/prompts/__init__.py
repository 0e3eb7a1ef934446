"""Prompts: a cell's body or a source becomes the prompts of one submission, checked and in order.

::

    body        the text under `%%groq_batch`, split into its prompts
    sources     the table of everything that `--from` takes, and the way from a source to its prompts
    refusals    what is said to everything else
    rows        one view of every source, column by column; `tables` the same for frames (brings Narwhals)
    templates   `{{ }}` and `{% %}`, compiled once and filled for each row
    names       what each word in a template stands for (both bring Jinja)
    checks      what a prompt is, and what each must pass

Reading is lazy: `Prompts.items` renders and checks while the shards are cut. Start at `sources.from_source`.
"""

from groq_magic.prompts.body import from_body
from groq_magic.prompts.checks import Message, Prompt, Prompts, surrogate_error
from groq_magic.prompts.sources import from_source

__all__ = ["Message", "Prompt", "Prompts", "from_body", "from_source", "surrogate_error"]
