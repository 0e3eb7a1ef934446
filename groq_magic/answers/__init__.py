"""What came back: result files → rows (`reading`), what the user holds (`answers`), `frames`, `display`."""

from groq_magic.answers.answers import Answer, AnswerError, Answers, Verbs
from groq_magic.answers.reading import Held, Lent, Repeated, Rows, Source

__all__ = ["Answer", "AnswerError", "Answers", "Held", "Lent", "Repeated", "Rows", "Source", "Verbs"]
