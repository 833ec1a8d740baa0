"""Trying many networks: in workers of their own, with a time limit each, continued where a run was interrupted."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterable
from concurrent.futures import TimeoutError as Expired
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from zoo.trial import attempt

LIMIT = 900
"""Seconds for one network."""


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The records of earlier runs, by name; the last one of a name counts, and a line cut short by an interruption does not."""
    records: dict[str, dict[str, Any]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            records[record["name"]] = record
    return records


def run(names: Iterable[str], path: Path, *, workers: int) -> None:
    """Try `names` and append a line of JSON per network to `path`."""
    names = list(names)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # A fresh process after some networks: libraries keep caches, and one network's leftovers are no business of the next.
    pool = ProcessPool(max_workers=workers, max_tasks=40, context=multiprocessing.get_context("spawn"))
    with pool, path.open("a", encoding="utf-8") as file, Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("zoo", total=len(names))
        waiting = {name: pool.schedule(attempt, args=(name,), timeout=LIMIT) for name in names}
        while waiting:
            for name in [n for n, future in waiting.items() if future.done()]:
                record = _outcome(name, waiting.pop(name))
                file.write(json.dumps(record) + "\n")
                file.flush()
                progress.update(task, advance=1, description=name[:40])
            time.sleep(0.05)


def _outcome(name: str, future: Any) -> dict[str, Any]:
    try:
        return dict(future.result())
    except Expired:
        return _failed(name, f"took longer than {LIMIT} s")
    except ProcessExpired as error:
        return _failed(name, f"the process ended: {error}")


def _failed(name: str, error: str) -> dict[str, Any]:
    return {"name": name, "library": name.partition(":")[0], "family": "", "convolutional": False, "error": error, "stage": "run"}
