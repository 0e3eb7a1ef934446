"""The groups, in the order of the table. Each is a module of this folder, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from tests.benchmarks.contest import Contest, Group

NAMES = ("building", "reading", "submitting", "starting", "watching", "whole", "sandbox", "reusing")
PEERS = "peers"
"""Measured only when asked for: its packages are installed first."""


def group(name: str) -> Group:
    """The group of this name."""
    found: Group = import_module(f"tests.benchmarks.{name}").GROUP
    return found


def contest(of: str, name: str) -> Contest:
    """A contest of a group."""
    return next(each for each in group(of).contests if each.name == name)
