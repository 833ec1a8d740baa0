"""The benchmarks of effective fields: ``make bench-fields``, or ``python benchmarks/fields.py [--quick] [--page FILE]``.

As in run.py every measurement is a job in a process of its own (fields_jobs.py). What was measured goes to out/benchmarks-fields.json,
the tables to the page; ``--from out/benchmarks-fields.json`` writes the page again without measuring.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import fields_page
import page
from command import command
from fields_nets import CASES, TIMED
from measure import job
from peers import FOLDER, PEERS, missing

PEER = PEERS["receptivefield 0.5.0"]


@dataclass(frozen=True)
class Plan:
    """How much is measured. `counts`: of samples, by network; `calibration`: repeats, samples of each, samples of the truth."""

    counts: dict[str, str]
    samples: str = "100"
    overheads: tuple[str, ...] = tuple(TIMED)
    per_call: str = "64"
    rounds: str = "5"
    crops: tuple[tuple[str, str], ...] = (("layer1", "224"), ("layer1", "512"), ("layer2", "224"), ("layer2", "512"))
    erfs: tuple[tuple[str, str, str], ...] = (
        ("layer1", "224", "32"),
        ("layer2", "512", "16"),
        ("layer4", "224", "16"),
        ("layer4", "512", "8"),
    )
    peers: tuple[tuple[str, str], ...] = (("layer1", "224"), ("layer2", "224"), ("layer4", "640"))
    calibration: tuple[str, str, str] = ("200", "64", "32768")
    held: tuple[str, ...] = ("layer1", "layer2", "layer4")


THOUSAND, DEEP, FEW = "10 30 100 300 1000", "10 30 50 150", "10 30 100 300"
FULL = Plan(dict(zip(CASES, (THOUSAND, THOUSAND, THOUSAND, DEEP, DEEP, FEW), strict=True)))
QUICK = Plan(
    dict(zip([name for name in CASES if "ResNet" not in name], ("10 30 100",) * 3 + ("5 15 30",), strict=True)),
    samples="10",
    overheads=("ResNet-18, layer2", "1-D, 10 dilated convolutions"),
    rounds="2",
    crops=(("layer1", "224"),),
    erfs=(("layer1", "224", "8"),),
    peers=(("layer1", "224"),),
    calibration=("30", "64", "4096"),
    held=("layer1",),
)


def main() -> None:
    """Measure, and write the page."""
    command(
        __doc__.splitlines()[0],
        "small networks, few samples: two minutes, to see that all of it runs",
        "benchmarks-fields",
        lambda measured, quick: measure(measured, QUICK if quick else FULL, in_own_process),
        fields_page.write,
    )


Runner = Callable[..., dict[str, Any]]


def in_own_process(*arguments: str) -> dict[str, Any]:
    """A job's result."""
    return job(*arguments, timeout=3600, path=FOLDER / PEER.folder, script="fields_jobs.py")


def measure(measured: dict[str, Any], plan: Plan, run: Runner) -> None:
    """Fill in everything on the page, as plain Python."""
    began = time.monotonic()
    measured["machine"] = page.machine()

    def step(*arguments: str) -> dict[str, Any]:
        print(f"{time.monotonic() - began:6.0f} s  {', '.join(arguments)}", file=sys.stderr, flush=True)
        result = run(*arguments)
        measured["minutes"] = (time.monotonic() - began) / 60
        return result

    with ThreadPoolExecutor(os.cpu_count()) as together:  # side by side: nothing is timed meanwhile
        found = together.map(lambda name: step("convergence", name, *plan.counts[name].split()), slowest_first(plan))
        errors = together.submit(step, "calibration", *plan.calibration)
        measured["convergence"] = dict(zip(slowest_first(plan), found, strict=True))
        measured["calibration"] = {"plan": plan.calibration, **errors.result()}
    measured["against samples"] = step("against_samples", plan.samples)
    measured["overhead"] = {name: step("overhead", name, plan.per_call, plan.rounds) for name in plan.overheads}
    measured["cropping"] = [[*where, step("cropping", *where, plan.per_call, plan.rounds)] for where in plan.crops]
    measured["replknet"] = [[layer, n, step("replknet", layer, n, count, plan.rounds)] for layer, n, count in plan.erfs]
    why = missing(PEER)
    measured["receptivefield"] = why or [[*where, step("receptivefield", *where, plan.rounds)] for where in plan.peers]
    measured["held"] = {layer: memory(layer, step) for layer in plan.held}


def slowest_first(plan: Plan) -> list[str]:
    """The networks, those that take longest first, so that none is waited for at the end."""
    return sorted(plan.counts, key=lambda name: (CASES[name].shape[-1], CASES[name].calibrated), reverse=True)


def memory(layer: str, step: Runner) -> dict[str, Any]:
    """What isopter takes, what one pass of plain PyTorch takes on the same canvas, and what the network does."""
    ours = step("held", layer)
    return {"isopter": ours, "plain": step("held", layer, *map(str, ours["canvas"])) if "canvas" in ours else ours}


if __name__ == "__main__":
    main()
