"""What is measured, each in a process of its own: ``python benchmarks/jobs.py JOB ARGUMENTS`` prints its result as JSON."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib
import json
import logging
import math
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

from measure import added, exponent, first_line, interleaved, peak

JOBS: dict[str, Callable[..., Any]] = {}


def job(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function a job, by its name; its arguments are strings."""
    JOBS[function.__name__] = function
    return function


# ---- isopter's whole analysis ----------------------------------------------------------------------------------------------


def capture(net: Any, shape: tuple[int, ...]) -> Any:
    """The model to a graph."""
    from isopter.capture.dispatch import to_graph

    return to_graph(net, shape, None, False)[0]


def walk(graph: Any) -> Any:
    """The graph to size, stride and start of every op, and the region of every unit of every op, with and without context."""
    from isopter.fields.plan import make_plan
    from isopter.fields.walks import Walks
    from isopter.reads.axis import blank_of, table_of
    from isopter.reads.rules import resample

    for remembered in (table_of, blank_of, resample._resampled):  # nothing is left over from the run before
        remembered.cache_clear()
    walks = Walks(make_plan(graph, graph.inputs[0]))
    ops = [op for op in range(len(graph.ops)) if walks.plan.depends(op)]
    return [(walks.extent(op), walks.boxes(op, context=False), walks.boxes(op, context=True)) for op in ops]


def isopter(net: Any, shape: tuple[int, ...]) -> Any:
    """All of it."""
    return walk(capture(net, shape))


# ---- against the other tools -----------------------------------------------------------------------------------------------


@job
def truth(name: str) -> dict[str, Any]:
    """The true size of a network's output field; see flood.py."""
    from flood import true_size
    from subjects import build

    return dataclasses.asdict(true_size(*build(name)))


@job
def ours(name: str) -> dict[str, Any]:
    """isopter's answer for a network, its memory and CPU seconds."""
    import isopter as ip
    from subjects import build

    net, network = build(name)
    _, memory = added(lambda: isopter(net, network.shape))
    field = ip.analyze(net, network.shape)
    last = field[field.outputs[0]]
    seconds = interleaved({"isopter": lambda: isopter(net, network.shape)}, 5)["isopter"]
    return {"size": list(last.size), "exactness": last.exactness, "context": last.context, "memory": memory, "seconds": seconds}


@job
def theirs(peer: str, name: str, *shape: str) -> dict[str, Any]:
    """A peer's answer, or its refusal; its memory; its CPU seconds beside isopter's in the same process, interleaved."""
    from peers import PEERS, Refused, asker
    from subjects import build

    ask, at = asker(peer), tuple(map(int, shape))
    importlib.import_module(PEERS[peer].requirement.split("==")[0])
    net, _ = build(name)
    pristine = copy.deepcopy(net) if PEERS[peer].probing else net  # it changes the net to its needs
    try:
        size, memory = added(lambda: ask(net, at))
    except Refused as refusal:
        return {"refused": first_line(refusal)}
    isopter(pristine, at)
    seconds = interleaved({"isopter": lambda: isopter(pristine, at), "theirs": lambda: ask(net, at)}, 3, budget=10)
    return {"size": list(size), "memory": memory, "seconds": seconds}


# ---- the bars --------------------------------------------------------------------------------------------------------------


@job
def race() -> dict[str, Any]:
    """ResNet-152 at 512: isopter, the table of torchlens, and one gradient probe per layer."""
    import torch

    from peers import torchlens
    from subjects import build

    net, network = build("ResNet-152 at 512")
    probes = layers_of(net)
    sample = [probes[(2 * k + 1) * len(probes) // 24] for k in range(12)]  # the middles of twelve equal parts
    shape = network.shape
    x = torch.rand(shape)
    isopter(net, shape)
    tasks: dict[str, Callable[[], object]] = {"isopter": lambda: isopter(net, shape), "torchlens": lambda: torchlens(net, shape)}
    seconds = interleaved(tasks, 5, budget=60)
    tasks = {"isopter again": tasks["isopter"]} | {f"probe {k}": lambda layer=layer: probe(net, layer, x) for k, layer in enumerate(sample)}
    seconds |= interleaved(tasks, 3, budget=60)
    return {"seconds": seconds, "layers": len(probes), "sampled": len(sample), "ops": len(capture(net, shape).ops) - 1}


def layers_of(net: Any) -> list[Any]:
    """The modules without children, in the order of the net: those a prober would go through."""
    return [module for module in net.modules() if not list(module.children())]


def probe(net: Any, layer: Any, x: Any) -> Any:
    """The gradient of one centre unit of `layer` over the image; the forward pass ends at the layer."""
    import torch

    class Reached(Exception):
        pass

    def stop(module: Any, given: Any, output: Any) -> None:
        seen.append(output)
        raise Reached

    seen: list[Any] = []
    image = x.clone().requires_grad_()
    hook = layer.register_forward_hook(stop)
    try:
        with contextlib.suppress(Reached):
            net(image)
    finally:
        hook.remove()
    middle = tuple(n // 2 for n in seen[0].shape[2:])
    return torch.autograd.grad(seen[0][(slice(None), slice(None), *middle)].sum(), image)


@job
def memory(what: str) -> dict[str, float]:
    """The peak memory of a process, in MB, that did so much and no more; the network is ResNet-152 at 512."""
    import torch

    if what == "import torch":
        return {"peak": peak()}
    from subjects import NETWORKS

    network = NETWORKS["ResNet-152 at 512"]
    with torch.device("meta") if "no weights" in what else contextlib.nullcontext():
        net = network.build().eval()
    if what.startswith("forward on meta"):
        with torch.no_grad():
            net.to("meta")(torch.empty(network.shape, device="meta"))
    elif what.startswith("analysis"):
        isopter(net, network.shape)
    else:
        assert what.startswith("build"), what
    return {"peak": peak()}


@job
def volume(pixels: str) -> dict[str, float]:
    """The regions of all units of all ops of a 3-D U-Net, from the model to the arrays: seconds on the clock and CPU seconds."""
    import isopter as ip
    from subjects import volume_unet

    net, n = volume_unet().eval(), int(pixels)
    ip.analyze(net, (1, 1, 16, 16, 16))  # once for nothing: lazy imports
    clock, cpu = time.perf_counter(), time.process_time()
    analysis = ip.analyze(net, (1, 1, n, n, n))
    fields = [analysis[name] for name in analysis]
    boxes = [field.regions() for field in fields]
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    assert len(boxes) == len(analysis) and boxes[-1][0][0].shape == (n, n, n)
    return {"clock": clock, "cpu": cpu, "ops": len(boxes), "units": sum(math.prod(field.units) for field in fields)}


@job
def support(pixels: str) -> dict[str, Any]:
    """One unit's exact support in an image of so many pixels a side: what the query allocates, and by how much it raises the peak."""
    import isopter as ip
    from subjects import models, trunk

    n = int(pixels)
    field = ip.analyze(trunk(models.resnet50(), "avgpool"), (1, 3, n, n))["layer4"]
    unit = tuple(k // 2 for k in field.units)
    found, raised = added(lambda: field.support(unit))
    tracemalloc.start()
    field.support(unit)
    traced = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    seconds = interleaved({"support": lambda: field.support(unit)}, 5)["support"]
    return {"shape": list(found.mask.shape), "count": found.count, "traced": traced, "raised": raised, "seconds": seconds}


# ---- growth ----------------------------------------------------------------------------------------------------------------


@job
def growth(what: str, *sizes: str) -> dict[str, Any]:
    """CPU seconds of the whole analysis over a size, every size in every round; and the exponent of a fit."""
    import subjects

    def image(n: int) -> tuple[int, ...]:
        return (1, 3, n, n)

    net: Any = None
    cases: dict[str, Callable[[int], tuple[Any, tuple[int, ...]]]] = {
        "depth, chain": lambda n: (subjects.chain(n), (1, 4, 64, 64)),
        "depth, residual": lambda n: (subjects.residual(n), (1, 4, 64, 64)),
        "image, ResNet-50": lambda n: (net or subjects.models.resnet50().eval(), image(n)),
        "image, U-Net transposed": lambda n: (net or subjects.models.unet().eval(), image(n)),
        "image, U-Net bilinear": lambda n: (net or subjects.models.unet_bilinear().eval(), image(n)),
        "volume, U-Net 3-D": lambda n: (net or subjects.volume_unet().eval(), (1, 1, n, n, n)),
        "channels": lambda n: (subjects.wide(n), (1, n, 64, 64)),
    }
    points = [int(n) for n in sizes]
    tasks: dict[str, Callable[[], object]] = {}
    for n in points:
        made, shape = cases[what](n)
        net = made
        tasks[str(n)] = lambda made=made, shape=shape: isopter(made, shape)
    for task in tasks.values():
        task()
    seconds = interleaved(tasks, 5, budget=60)
    costs = [seconds[str(n)] for n in points]
    return {"sizes": points, "seconds": costs, "exponent": exponent(points, costs)}


# ---- beside the model itself -----------------------------------------------------------------------------------------------


@job
def stages(name: str, pixels: str, repeats: str) -> dict[str, Any]:
    """CPU seconds of the plain model on the meta device and on numbers, of the capture, and of the walks."""
    import torch

    from subjects import models

    net, shape = getattr(models, name)().eval(), (1, 3, int(pixels), int(pixels))
    on_meta, nothing, numbers = copy.deepcopy(net).to("meta"), torch.empty(shape, device="meta"), torch.rand(shape)
    graph = capture(net, shape)

    def forward(model: Any, x: Any) -> object:
        with torch.no_grad():
            return model(x)

    tasks: dict[str, Callable[[], object]] = {
        "forward, meta": lambda: forward(on_meta, nothing),
        "forward, CPU": lambda: forward(net, numbers),
        "capture": lambda: capture(net, shape),
        "walks": lambda: walk(graph),
        "isopter in all": lambda: isopter(net, shape),
    }
    for task in tasks.values():  # once for nothing: lazy imports, thread pools
        task()
    return {"ops": len(graph.ops) - 1, "seconds": interleaved(tasks, int(repeats), budget=60)}


def main(name: str, *arguments: str) -> None:
    """Run a job; its result, or the first line of its error, is the last line of output."""
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            answer = JOBS[name](*arguments)
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {first_line(error)}"}
    print(json.dumps(answer, default=float))


if __name__ == "__main__":
    main(*sys.argv[1:])
