"""What isopter costs beside the model itself: ``make bench``, or ``python benchmarks/capture.py [--repeats 9]``.

Everything is measured in one process, interleaved (one repeat of each, then the next), and reported as medians. The model is
built before the clock starts. Writes benchmarks/results.md.

- forward, meta: the plain model on PyTorch's meta device, which computes shapes and no numbers
- forward, CPU: the plain model on real numbers
- capture: the model to a Graph
- analysis: the Graph to the extent and the region of every unit of every op, with and without context, caches cleared
- torchlens: `trace` keeping no activations, then its `receptive_fields` table; skipped where it is not installed
"""

from __future__ import annotations

import argparse
import copy
import datetime
import gc
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from isopter.capture.torch.capture import capture
from isopter.fields.extent import extents
from isopter.fields.plan import make_plan
from isopter.fields.regions import regions
from isopter.graph import Graph
from isopter.reads.axis import blank_of, table_of
from isopter.reads.rules import resample

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples"))
import models  # noqa: E402

CASES = (("resnet50", 224), ("resnet152", 512))
OTHER = "torchlens"
OTHER_CASES = ("resnet50",)  # it runs the model on real numbers; once is enough for a comparison


def main() -> None:
    """Measure every case, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--output", type=Path, default=HERE / "results.md")
    options = parser.parse_args()
    text = report([measure(name, size, options.repeats) for name, size in CASES], options.repeats)
    print(text)
    options.output.write_text(text, encoding="utf-8")


def measure(name: str, size: int, repeats: int) -> dict[str, object]:
    """Median milliseconds of every task for one network."""
    model = getattr(models, name)().eval()
    shape = (1, 3, size, size)
    graph = capture(model, {"x": torch.empty(shape, device="meta")})
    tasks = tasks_of(model, shape, graph)
    if name in OTHER_CASES and importlib.util.find_spec(OTHER) is not None:
        tasks[OTHER] = torchlens_table(model, shape)
    times: dict[str, list[float]] = {task: [] for task in tasks}
    for run in tasks.values():  # once for nothing: lazy imports, thread pools
        run()
    for _ in range(repeats):
        for task, run in tasks.items():
            gc.collect()
            start = time.perf_counter()
            run()
            times[task].append(1000 * (time.perf_counter() - start))
        if sys.stderr.isatty():
            print(f"{name}: {len(times['capture'])}/{repeats}", end="\r", file=sys.stderr)
    medians = {task: statistics.median(values) for task, values in times.items()}
    return {"name": name, "size": size, "ops": len(graph.ops) - len(graph.inputs), "medians": medians}


def tasks_of(model: nn.Module, shape: tuple[int, ...], graph: Graph) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    on_meta, nothing = copy.deepcopy(model).to("meta"), torch.empty(shape, device="meta")
    numbers = torch.rand(shape)

    def forward(net: nn.Module, x: torch.Tensor) -> object:
        with torch.no_grad():
            return net(x)

    def analysis() -> object:
        for remembered in (table_of, blank_of, resample._resampled):
            remembered.cache_clear()
        plan = make_plan(graph, graph.inputs[0])
        return extents(plan, context=False), regions(plan, context=False), regions(plan, context=True)

    return {
        "forward, meta": lambda: forward(on_meta, nothing),
        "forward, CPU": lambda: forward(model, numbers),
        "capture": lambda: capture(model, {"x": torch.empty(shape, device="meta")}),
        "analysis": analysis,
    }


def torchlens_table(model: nn.Module, shape: tuple[int, ...]) -> Callable[[], object]:
    """The other package's way to the same table, with nothing kept that the table does not need."""
    import torchlens

    numbers = torch.rand(shape)

    def run() -> object:
        with torch.no_grad():
            trace = torchlens.trace(model, numbers, save=lambda context: False)
        return trace.receptive_fields(level="op")

    return run


def report(results: list[dict[str, object]], repeats: int) -> str:
    """The results as Markdown."""
    lines = [
        "# Timings",
        "",
        f"Written by `make bench` on {datetime.date.today()}: {os.cpu_count()} CPUs ({platform.machine()}), "
        f"torch {torch.__version__} on {torch.get_num_threads()} threads, Python {platform.python_version()}.",
        f"Medians of {repeats} interleaved repeats in one process.",
        "",
        "| network | task | ms | / forward on meta | / forward on CPU |",
        "|---|---|--:|--:|--:|",
    ]
    for result in results:
        medians: dict[str, float] = dict(result["medians"])  # type: ignore[call-overload]
        meta, cpu = medians["forward, meta"], medians["forward, CPU"]
        medians["isopter in all"] = medians["capture"] + medians["analysis"]
        label = f"{result['name']} at {result['size']} ({result['ops']} ops)"
        for task in ("forward, meta", "forward, CPU", "capture", "analysis", "isopter in all", OTHER):
            if task in medians:
                ms = medians[task]
                lines.append(f"| {label} | {_named(task)} | {ms:.1f} | {ms / meta:.2f} | {ms / cpu:.2f} |")
                label = ""
    lines += [
        "",
        "capture: the model to a graph. analysis: size, stride and start on the plane, and the region of every unit of every op,",
        "with and without context, caches cleared.",
    ]
    if importlib.util.find_spec(OTHER) is None:
        lines.append(f"{OTHER} is not installed, so it is not compared: `make bench` installs it.")
    else:
        lines.append(f"{OTHER}: `trace` keeping no activations, then `receptive_fields()`: size, stride and centre of every op.")
    return "\n".join(lines) + "\n"


def _named(task: str) -> str:
    return f"{OTHER} {importlib.metadata.version(OTHER)}" if task == OTHER else task


if __name__ == "__main__":
    main()
