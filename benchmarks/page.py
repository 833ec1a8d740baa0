"""What was measured, as a page of Markdown tables. Numbers come from the measurement alone."""

from __future__ import annotations

import datetime
import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from measure import exponent
from peers import PEERS, verdict

HEAD = """# Benchmarks

Written by `make bench`; not to be edited by hand. {machine} It took {minutes:.0f} minutes.

Times are CPU times on one thread, medians of repeats that take turns within one process, so that a slow moment of the machine
falls on all alike; look at the ratios. *isopter* is always its whole analysis: the model captured, size, stride and start of every
op on the plane, and the region of every unit of every op, with and without context, caches cleared before. Models are built
before the clock starts, with random weights.

## What isopter holds itself to

{bars}

{race}
"""

PEERS_TEXT = """## Beside other tools

Each tool is asked the same question of the same network: how large is the field of a unit of the last map, in input pixels? After
upsampling units differ, and the largest counts. The *true size* is that of the real network, not of any formula: pixels are set
to NaN, and a unit that turns NaN reads one of them (`benchmarks/flood.py`). "whole" besides a size: squeeze-excite gates read the whole
image, and the size is that of the net with its gates held constant; either answer counts as right. isopter reports both.

{sizes}

{reasons}

CPU time of each tool, as a multiple of isopter's in the same process at the same input:

{times}

Memory that the first question adds to the process, in MB (10^6 bytes), after the model was built and the tool imported. It contains what
PyTorch loads on first use of the operators in question: for isopter, those of the meta device ([below](#memory)).

{memory}

How each is asked:

{asked}

{missing}
"""

REST = """## Beside the model itself

Milliseconds of CPU time. *forward, meta*: the plain model on PyTorch's meta device, which computes shapes and no numbers; *forward,
CPU*: on numbers; *capture*: the model to a graph; *walks*: the graph to all answers.

{stages}

## Growth

Time of the whole analysis against one size, all sizes in turn within one process. The exponent is the slope of a line through the
logarithms: 1 is proportional, 0 does not depend on it. The last column is that of the two largest sizes, where fixed costs weigh least.

{growth}

## Memory

Peak resident memory of a process that did so much and no more; the network is ResNet-152 at 512 pixels. Without weights: built on the
meta device, as isopter reads no weight. A plain forward pass there makes PyTorch load what it knows of shapes; the analysis adds the
difference to the line below it. Weights as large as these outweigh all else, whatever the tool.

{peaks}

## One unit's exact support

The middle unit of layer4 of ResNet-50, in ever larger images. *allocated*: the largest amount the query held at once; *peak*: by how
much it raised the peak memory of the process.

{support}
"""


def machine() -> str:
    """When and where."""
    return (
        f"Measured on {datetime.date.today()}: {os.cpu_count()} CPUs ({platform.machine()}), torch {torch.__version__}, "
        f"Python {platform.python_version()}."
    )


def write(measured: dict[str, Any]) -> str:
    """The whole page."""
    head = HEAD.format(machine=measured["machine"], minutes=measured["minutes"], bars=bars(measured), race=race(measured["race"]))
    tools = ["isopter", *(name for name in PEERS if name not in measured["missing"])]
    rows = measured["peers"]
    peers = PEERS_TEXT.format(
        sizes=table(["network", "true size", *tools], ([n, truth(r["truth"]), *(answer(r, t) for t in tools)] for n, r in rows.items())),
        reasons=reasons(rows, tools),
        times=table(["network", "isopter, ms", *tools[1:]], ([n, *times(r, tools)] for n, r in rows.items()), numbers=True),
        memory=table(["network", *tools], ([n, *(number(r[t], "memory", "{:.0f}") for t in tools)] for n, r in rows.items()), numbers=True),
        asked="\n".join(f"- {name}: {_first(PEERS[name].ask)}" for name in tools[1:]),
        missing="\n".join(
            ["Not asked:", "", *(f"- {name}: {why}" for name, why in measured["missing"].items())] if measured["missing"] else []
        ),
    )
    return head + "\n" + peers.replace("\n\n\n", "\n\n") + "\n" + rest(measured)


# ---- the bars ------------------------------------------------------------------------------------------------------------


def bars(measured: dict[str, Any]) -> str:
    """Each promise with what was measured."""
    found = []

    def bar(what: str, wanted: str, value: float | None, shown: str, met: bool) -> None:
        found.append([what, wanted, "not measured" if value is None else shown.format(value), "no" if value is None or not met else "yes"])

    lens, probes = speedups(measured["race"])
    bar("ResNet-152 at 512: faster than the table of torchlens", "30 x", lens, "{:.0f} x", (lens or 0) >= 30)
    bar("ResNet-152 at 512: faster than a gradient probe per layer", "100 x", probes, "{:,.0f} x", (probes or 0) >= 100)
    memory = {what: m.get("peak") for what, m in measured["memory"].items()}
    for what in ("analysis, no weights", "analysis, with weights"):
        ratio = memory[what] / memory["import torch"] if memory[what] and memory["import torch"] else None
        bar(
            f"ResNet-152 at 512: peak memory, {what.partition(', ')[2]}, beside `import torch`",
            "1.5 x",
            ratio,
            "{:.2f} x",
            (ratio or 9) <= 1.5,
        )
    for what, growth in measured["growth"].items():
        if what.startswith("depth"):
            steep = max(growth["exponent"], last_exponent(growth)) if "exponent" in growth else None
            bar(f"time against {what}: exponent", "1.1", steep, "{:.2f}", (steep or 9) <= 1.1)
    channels = measured["growth"]["channels"]
    slowest = max(channels["seconds"]) / min(channels["seconds"]) if "seconds" in channels else None
    bar("time against channels: slowest beside fastest", "1.2 x", slowest, "{:.2f} x", (slowest or 9) <= 1.2)
    clock = measured["volume"].get("clock")
    bar(f"regions of all units of a 3-D U-Net at {'64' if measured['quick'] else '256'}^3", "1 s", clock, "{:.3f} s", (clock or 9) < 1)
    held = [m.get("traced") for m in measured["support"].values()]
    growing = held[-1] - held[0] if all(held) else None
    bar(
        "support of one unit: memory it takes more at 8192 than at 512 pixels",
        "1 MB",
        growing,
        "{:.2f} MB",
        growing is not None and growing < 1,
    )
    return table(["", "wanted", "measured", "met"], found)


def speedups(result: dict[str, Any]) -> tuple[float | None, float | None]:
    """How many times slower torchlens and the gradient probes are."""
    if "failed" in result:
        return None, None
    seconds = result["seconds"]
    probe = sum(s for name, s in seconds.items() if name.startswith("probe")) / result["sampled"]
    return seconds["torchlens"] / seconds["isopter"], probe * result["layers"] / seconds["isopter again"]


def race(result: dict[str, Any]) -> str:
    """What the two first bars stand on."""
    if "failed" in result:
        return f"The race on ResNet-152 gave no result: {result['failed']}."
    seconds = result["seconds"]
    probes = [1000 * s for name, s in seconds.items() if name.startswith("probe")]
    return (
        f"ResNet-152 at 512 has {result['ops']} ops in {result['layers']} layers (modules without children). "
        f"isopter took {1000 * seconds['isopter']:.0f} ms, torchlens {1000 * seconds['torchlens']:.0f} ms. "
        "A gradient probe is one forward pass in float32 up to the layer and one backward pass from its centre unit. "
        f"{result['sampled']} layers were probed, the middles of as many equal parts of the net: "
        f"{min(probes):.0f} to {max(probes):.0f} ms each, {sum(probes) / len(probes):.0f} ms on average. "
        f"Their average stands for all {result['layers']}."
    )


# ---- the peers -----------------------------------------------------------------------------------------------------------


def truth(result: dict[str, Any]) -> str:
    """The true size."""
    return result.get("failed") or shown(result["size"]) + (", whole" if result["whole"] else "")


def shown(size: Sequence[float]) -> str:
    """One number if all axes agree."""
    numbers = [f"{n:g}" for n in size]
    return numbers[0] if len(set(numbers)) == 1 else "x".join(numbers)


def answer(row: dict[str, Any], tool: str) -> str:
    """A cell: right, or the wrong number, or that there is none."""
    result, true = row[tool], row["truth"]
    if "failed" in result:
        return "fails"
    if "refused" in result:
        return "refuses"
    if "failed" in true:
        return shown(result["size"])
    word = verdict(result["size"], true["size"], true["whole"])
    context = ", whole" if result.get("context") else ""
    return f"{word}, {shown(result['size'])}{context}" if word == "right" else f"**{word}, {shown(result['size'])}**"


def reasons(rows: dict[str, Any], tools: Iterable[str]) -> str:
    """Why tools fail or refuse, equal reasons together."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for name, row in rows.items():
        for tool in tools:
            for word in ("failed", "refused"):
                if word in row[tool]:
                    found[tool, "fails" if word == "failed" else "refuses", row[tool][word]].append(name)
    return "\n".join(f"- {tool} {word} on {', '.join(names)}: `{why}`" for (tool, word, why), names in found.items())


def times(row: dict[str, Any], tools: Sequence[str]) -> list[str]:
    """isopter's milliseconds, then every other tool's multiple of isopter's time in its own process."""
    ratios = [f"{r['seconds']['theirs'] / r['seconds']['isopter']:.1f}" if "seconds" in (r := row[t]) else "-" for t in tools[1:]]
    return [number(row["isopter"], "seconds", "{:.1f}", 1000), *ratios]


def number(result: dict[str, Any], key: str, form: str, scale: float = 1) -> str:
    """A measured number, or a dash."""
    return form.format(scale * result[key]) if key in result else "-"


def _first(function: Any) -> str:
    return str(function.__doc__).strip().splitlines()[0]


# ---- the rest ------------------------------------------------------------------------------------------------------------


def rest(measured: dict[str, Any]) -> str:
    """The tables about isopter alone."""
    stages = [[name, *stage(result)] for name, result in measured["stages"].items()]
    growth = [line for what, result in measured["growth"].items() for line in growing(what, result)]
    base = measured["memory"]["import torch"].get("peak")
    peaks = [
        [what, m["failed"], ""] if "failed" in m else [what, f"{m['peak']:.0f}", f"{m['peak'] / base:.2f}" if base else "-"]
        for what, m in measured["memory"].items()
    ]
    support = [
        [f"{pixels} x {pixels}", m["failed"], "", "", ""]
        if "failed" in m
        else [f"{pixels} x {pixels}", shown(m["shape"]), f"{m['traced']:.2f}", f"{m['raised']:.2f}", f"{1000 * m['seconds']:.1f}"]
        for pixels, m in measured["support"].items()
    ]
    return REST.format(
        stages=table(["network", "ops", "forward, meta", "forward, CPU", "capture", "walks", "isopter in all"], stages, numbers=True),
        growth=table(["against", "sizes", "ms", "exponent", "of the last step"], growth),
        peaks=table(["process", "MB", "beside `import torch`"], peaks, numbers=True),
        support=table(["image", "field", "allocated, MB", "peak, MB", "ms"], support, numbers=True),
    )


def stage(result: dict[str, Any]) -> list[str]:
    """One network's milliseconds."""
    if "failed" in result:
        return [result["failed"], *[""] * 5]
    order = ("forward, meta", "forward, CPU", "capture", "walks", "isopter in all")
    return [str(result["ops"]), *(f"{1000 * result['seconds'][name]:.1f}" for name in order)]


def growing(what: str, result: dict[str, Any]) -> list[list[str]]:
    """One line of the growth table."""
    if "failed" in result:
        return [[what, result["failed"], "", "", ""]]
    sizes, ms = ", ".join(map(str, result["sizes"])), ", ".join(f"{1000 * s:.1f}" for s in result["seconds"])
    return [[what, sizes, ms, f"{result['exponent']:.2f}", f"{last_exponent(result):.2f}"]]


def last_exponent(result: dict[str, Any]) -> float:
    """The exponent between the two largest sizes, where fixed costs weigh least."""
    return exponent(result["sizes"][-2:], result["seconds"][-2:])


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """A Markdown table; with `numbers` all columns but the first to the right."""
    align = ["---", *(["--:" if numbers else "---"] * (len(head) - 1))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, align, *rows))
