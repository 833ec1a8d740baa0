"""Why an op does not fit the shapes around it."""

from __future__ import annotations


class Misfit(Exception):
    """An op cannot follow an edit; the message completes "<op> stops matching: ..."."""
