"""How far a measurement is, on standard error: the only thing it ever prints, and only when asked to."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Literal

from isopter.errors import UsageError

Progress = bool | Literal["auto"]


@contextlib.contextmanager
def progress_bar(what: str, total: int, show: Progress) -> Iterator[Callable[[int], None]]:
    """A bar with the time left; yields the function that is told how many are done. "auto": only on a terminal."""
    if show not in (True, False, "auto"):
        raise UsageError(f"progress={show!r} must be True, False or 'auto' (a bar where standard error is a terminal).")
    if not show or (show == "auto" and not sys.stderr.isatty()):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
