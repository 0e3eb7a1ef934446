"""How fast and how lean groq_magic is, beside what one would write without it: `python -m tests.benchmarks`.

Nothing here is a test, and nothing asserts a time. See README.md in this folder.
"""
