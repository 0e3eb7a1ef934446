"""What is seen of a batch: `picture` (Snapshot → HTML and text, pure), `widget` (live), `line` (terminal)."""
