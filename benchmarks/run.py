"""The benchmarks: ``make bench``, or ``python benchmarks/run.py [--quick] [--page docs/benchmarks.md]``.

Every measurement is a job in a process of its own (jobs.py), so that a tool that crashes or hangs costs its own cell of the table
and no more. What was measured goes to out/benchmarks.json, the tables to the page; ``--from out/benchmarks.json`` writes the
page again without measuring.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import page
from command import command
from measure import job
from peers import FOLDER, PEERS, missing
from subjects import NETWORKS

QUICK = ("VGG-16", "ResNet-18", "WaveNet, 1-D")
LENS = PEERS["torchlens 2.36.1"]

GROWTH = {
    "depth, chain": "10 30 100 300 1000 2000",
    "depth, residual": "10 30 100 300 1000 2000",
    "image, ResNet-50": "64 256 1024 4096 8192",
    "image, U-Net transposed": "64 256 1024 4096 8192",
    "image, U-Net bilinear": "64 256 1024 4096 8192",
    "volume, U-Net 3-D": "64 128 256 512",
    "channels": "1 4 16 64 256 1024 4096",
}
MEMORY = (
    "import torch",
    "forward on meta, no weights",
    "analysis, no weights",
    "build, with weights",
    "analysis, with weights",
)


def main() -> None:
    """Measure, and write the page."""
    command(
        __doc__.splitlines()[0],
        "a few networks, small sizes: a few minutes, to see that all of it runs",
        "benchmarks",
        measure,
        page.write,
    )


def measure(measured: dict[str, Any], quick: bool) -> None:
    """Fill in everything on the page, as plain Python."""
    began = time.monotonic()
    measured |= {"machine": page.machine(), "quick": quick}

    def step(label: str, *arguments: str, timeout: float = 180, **options: Any) -> dict[str, Any]:
        print(f"{time.monotonic() - began:6.0f} s  {label}", file=sys.stderr, flush=True)
        result = job(*arguments, timeout=timeout, **options)
        measured["minutes"] = (time.monotonic() - began) / 60
        return result

    measured["stages"] = {
        f"{name} at {pixels}": step(f"stages of {name}", "stages", name, pixels, "3" if quick else "9")
        for name, pixels in (("resnet50", "224"), ("resnet152", "512"))
    }
    measured["race"] = step("race", "race", timeout=600, path=FOLDER / LENS.folder)
    measured["memory"] = {what: step(f"memory: {what}", "memory", what) for what in MEMORY}
    measured["volume"] = step("volume", "volume", "64" if quick else "256")
    measured["support"] = {n: step(f"support at {n}", "support", n) for n in ("512", "2048", "8192")}
    measured["growth"] = {
        what: step(f"growth: {what}", "growth", what, *(sizes.split()[:3] if quick else sizes.split())) for what, sizes in GROWTH.items()
    }
    measured["peers"] = {}
    measured["missing"] = {peer.name: why for peer in PEERS.values() if (why := missing(peer))}
    names = list(QUICK if quick else NETWORKS)
    with ThreadPoolExecutor(os.cpu_count()) as together:  # side by side: nothing is timed meanwhile
        truths = list(together.map(lambda name: step(f"{name}: truth", "truth", name, timeout=600), names))
    for name, true in zip(names, truths, strict=True):
        measured["peers"][name] = {"truth": true, **compare(name, true, step)}


def compare(name: str, true: dict[str, Any], step: Any) -> dict[str, Any]:
    """One network: isopter's answer, and that of every peer that can be asked."""
    network = NETWORKS[name]
    row = {"isopter": step(f"{name}: isopter", "ours", name)}
    for peer in PEERS.values():
        if missing(peer) is None:
            shape = network.shape
            if peer.probing and "probed" in true:  # as long as the truth needed, and wide enough for several units
                shape = (*shape[:2], true["probed"][0][2], *(4 * network.thin for _ in shape[3:]))
            arguments = ("theirs", peer.name, name, *map(str, shape))
            row[peer.name] = step(f"{name}: {peer.name}", *arguments, path=FOLDER / peer.folder, limit_gb=16)
    return row


if __name__ == "__main__":
    main()
