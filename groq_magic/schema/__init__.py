"""What replies must look like: from a class, a JSON Schema or labels to Groq's strict mode, and back.

::

    forms       everything that `--schema` takes → a Schema
    asked       a Schema: what goes on the wire, and a reply's text → what the user holds
    labels      a choice among labels, in all its forms
    strict      a JSON Schema made as strict as Groq demands, or one line that says why it cannot be
    referring   its references and `allOf`, followed
    merging     two JSON Schemas that hold at once, or never both
    judging     a reply judged by a JSON Schema (brings jsonschema)
    misfits     a reply that does not fit: where and why, on one line

https://console.groq.com/docs/structured-outputs. In strict mode every field is always asked for, also one
with a default; what may be absent is `T | None`. Start at `forms.schema_of`.
"""

from groq_magic.schema.asked import Schema
from groq_magic.schema.forms import of_wire, schema_of
from groq_magic.schema.misfits import Misfit

__all__ = ["Misfit", "Schema", "of_wire", "schema_of"]
