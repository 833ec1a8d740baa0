"""How long an analysis takes in each framework, beside another job: ``python benchmarks/frameworks.py [NAME ...]``.

Each framework offers pairs of jobs, its own and the one that it is held against (the same network in PyTorch; of Keras, its own build of
the model), run in turns in this process; what is printed is the median of CPU seconds of both and their ratio. A job begins with what a
user has (a module, a path to a file) and ends with an `Analysis`. Frameworks that are not installed are left out, and said to be. A
framework is added as a function in `FRAMEWORKS`.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.measure import interleaved  # noqa: E402

REPEATS = 9

Job = Callable[[], object]
Pair = tuple[str, Job, Job]
"""A name, the framework's job, and the one that it is held against."""


def onnx(folder: Path) -> Iterator[Pair]:
    """Files of both exporters of PyTorch, with their weights, against the module."""
    import onnx as _onnx  # noqa: F401
    import onnxscript as _onnxscript  # noqa: F401
    import torch
    from examples import models

    import isopter as ip

    sizes = {"resnet18": (1, 3, 224, 224), "resnet50": (1, 3, 224, 224), "unet": (1, 3, 256, 256), "swin_block": (1, 3, 16, 16)}
    for name, size in sizes.items():
        model = getattr(models, name)().eval()
        for exporter, dynamo in (("dynamo", True), ("TorchScript", False)):
            path = folder / f"{name}_{exporter}.onnx"
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(model, (torch.zeros(size),), path, dynamo=dynamo)
            yield f"{name}, {exporter}", _analysis(ip, path, size), _analysis(ip, model, size)


def jax(folder: Path) -> Iterator[Pair]:
    """ResNet-50 as a function that holds its parameters, against the module: again and again at one size, and at a new size each time,
    for which JAX knows no types yet."""
    from benchmarks.jax_resnet import resnet50
    from examples import models

    import isopter as ip

    ours, theirs = resnet50(), models.resnet50().eval()
    yield "resnet50, plain", _analysis(ip, ours, (1, 224, 224, 3)), _analysis(ip, theirs, (1, 3, 224, 224))
    sizes, other_sizes = (iter(range(64, 64 + 32 * (REPEATS + 1), 32)) for _ in range(2))
    yield (
        "resnet50, plain, new sizes",
        lambda: ip.analyze(ours, (1, n := next(sizes), n, 3)),
        lambda: ip.analyze(theirs, (1, 3, n := next(other_sizes), n)),
    )


def keras(folder: Path) -> Iterator[Pair]:
    """ResNet50 of keras.applications on the active backend, against building it."""
    import keras as _keras

    import isopter as ip

    def build() -> Any:
        return _keras.applications.ResNet50(weights=None)

    yield f"ResNet50 ({_keras.backend.backend()}), build", _analysis(ip, build(), (1, 224, 224, 3)), build


def _analysis(ip: Any, model: Any, size: tuple[int, ...]) -> Job:
    return lambda: ip.analyze(model, size)


FRAMEWORKS: dict[str, Callable[[Path], Iterator[Pair]]] = {"ONNX": onnx, "JAX": jax, "Keras": keras}


def main(names: list[str]) -> None:
    """Print a line for every pair of the frameworks named (default: all)."""
    wanted = {name: pairs for name, pairs in FRAMEWORKS.items() if not names or name.lower() in map(str.lower, names)}
    print(f"{'framework':<12}{'network':<28}{'seconds':>9}{'other':>9}{'ratio':>7}")
    for framework, pairs in wanted.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                for name, job, other_job in pairs(Path(folder)):
                    job(), other_job()  # imports, and caches that any later call finds warm
                    found = interleaved({"own": job, "other": other_job}, REPEATS)
                    own, other = found["own"], found["other"]
                    print(f"{framework:<12}{name:<28}{own:>9.3f}{other:>9.3f}{own / other:>7.2f}", flush=True)
            except ModuleNotFoundError as error:
                print(f"{framework:<12}left out: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
