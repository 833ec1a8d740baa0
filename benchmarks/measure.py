"""Clocks, memory, fits, and jobs in processes of their own."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Result = dict[str, Any]
HERE = Path(__file__).resolve().parent


def clocked(tasks: Mapping[str, Callable[[], object]], repeats: int, budget: float = math.inf) -> dict[str, dict[str, float]]:
    """Median seconds of each task, "cpu" and "wall": one run of each, then the next round, so that a slow moment is shared.

    Rounds stop early once they have taken `budget` seconds together. Nothing is warmed up here.
    """
    clocks = {"cpu": time.process_time, "wall": time.perf_counter}
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in tasks}
    began = time.monotonic()
    while len(next(iter(times.values()))) < repeats:
        for name, run in tasks.items():
            gc.collect()
            start = [clock() for clock in clocks.values()]
            run()
            times[name].append(tuple(clock() - at for clock, at in zip(clocks.values(), start, strict=True)))
        if time.monotonic() - began > budget:
            break
    return {name: dict(zip(clocks, map(statistics.median, zip(*rounds, strict=True)), strict=True)) for name, rounds in times.items()}


def interleaved(tasks: Mapping[str, Callable[[], object]], repeats: int, budget: float = math.inf) -> dict[str, float]:
    """Median CPU seconds of each task, as `clocked`."""
    return {name: medians["cpu"] for name, medians in clocked(tasks, repeats, budget).items()}


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The power of size that cost grows by: the slope of a straight line through the logarithms."""
    return statistics.linear_regression([math.log(n) for n in sizes], [math.log(c) for c in costs]).slope


def peak() -> float:
    """The largest resident memory of this process so far, in MB (10^6 bytes)."""
    with contextlib.suppress(
        OSError, StopIteration
    ):  # what getrusage says on Linux begins with the peak of the process that started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def added(run: Callable[[], Any]) -> tuple[Any, float]:
    """What `run` returns, and by how many MB it raised the peak above the memory held before."""
    gc.collect()
    before = peak()
    with contextlib.suppress(OSError):  # Linux forgets an earlier peak when asked to; elsewhere it hides what stays below it
        Path("/proc/self/clear_refs").write_text("5")
        before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    result = run()
    return result, max(0.0, peak() - before)


# ---- jobs ------------------------------------------------------------------------------------------------------------------


def job(*arguments: str, timeout: float, path: Path | None = None, limit_gb: float | None = None, script: str = "jobs.py") -> Result:
    """Run ``jobs.py ARGUMENTS`` in a process of its own, on one thread. If it crashes or hangs: ``{"failed": why}``.

    `path` is searched first for modules. `limit_gb` bounds its address space. `script` is a file beside this one.
    """
    return run_job([sys.executable, str(HERE / script), *arguments], timeout, path, limit_gb)


def run_job(command: Sequence[str], timeout: float, path: Path | None = None, limit_gb: float | None = None) -> Result:
    """`job` for any command whose last line of output is JSON: a dict."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(path) if path else "", env.get("PYTHONPATH", ""))))
    started = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=None if limit_gb is None else lambda: _limit(limit_gb),
    )
    try:
        output, errors = started.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"failed": f"no answer in {timeout:.0f} s"}
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)  # with whatever it started
            started.communicate()
    with contextlib.suppress(IndexError, ValueError):
        answer = json.loads(output.strip().splitlines()[-1])
        if isinstance(answer, dict):
            return answer
    if started.returncode < 0:
        return {"failed": f"killed by {signal.Signals(-started.returncode).name}"}
    return {"failed": first_line(errors.strip().splitlines()[-1:] or f"exit status {started.returncode}, no output")}


def first_line(text: object) -> str:
    """The first line of an error, cut to what fits into a table."""
    lines = text if isinstance(text, list) else str(text).strip().splitlines()
    line = (lines[0].strip() if lines else "") or "no message"
    return line if len(line) <= 140 else line[:137] + "..."


def _limit(limit_gb: float) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (int(limit_gb * 1e9),) * 2)
