"""What is seen of a batch: `words` (as text), `picture` (as HTML), `widget` (live), `line` (terminal)."""
