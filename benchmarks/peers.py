"""Other tools that tell receptive fields, how each is installed, and how each is asked for the field of a net's output.

``python benchmarks/peers.py FOLDER`` installs each into a folder of its own, without its dependencies, so that none replaces
PyTorch or disturbs another; what they need besides is in the extra `bench`. Where the package index has no such package, the
installer's words are kept for the report.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from measure import first_line
from subjects import Shape

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv" / "peers"

Size = tuple[float, ...]


class Refused(Exception):
    """The tool says itself that it has no answer."""


def torchlens(net: nn.Module, shape: Shape) -> Size:
    """`trace` keeping no activations, then its table of receptive fields."""
    import torchlens

    with torch.no_grad():
        trace = torchlens.trace(net, torch.rand(shape), save=lambda context: False)
    row = trace.receptive_fields(level="op").frame.iloc[-1]
    if row["size"] is None:
        raise Refused(f"status {row['status'].value}")
    return tuple(row["size"])


def torchscan(net: nn.Module, shape: Shape) -> Size:
    """`crawl_module`; since 0.2 it no longer chains the modules."""
    import torchscan

    report = torchscan.crawl_module(net, shape[1:])
    if "schema_version" in report:
        raise Refused("gives the kernel of each module, no field over the input")
    return (float(report["layers"][-1]["rf"]),) * (len(shape) - 2)  # one number for all axes


def receptivefield(net: nn.Module, shape: Shape) -> Size:
    """Gradients of three units, on a net prepared as its README advises: positive weights, linear, averages for maxima."""
    from receptivefield.pytorch import PytorchReceptiveField

    class Exposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            self.feature_maps = [self.net(x)]
            return self.feature_maps[0]

    linearize(net)
    found = max(PytorchReceptiveField(Exposed).compute((*shape[2:], shape[1]))[0].rf.size)  # the image is thin along one axis
    if found >= max(shape[2:]):
        raise Refused(f"the field fills the image of {max(shape[2:])} pixels")
    return (float(found),) * 2


def linearize(net: nn.Module) -> None:
    """Positive weights that average, positive biases, no activations, averages in place of maxima: gradients do not vanish."""
    for parameter in net.parameters():
        mean = len(parameter) / parameter.numel() if parameter.ndim > 1 else 1.0
        nn.init.uniform_(parameter, 0.5 * mean, 1.5 * mean)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU | nn.ReLU6 | nn.Hardswish | nn.SiLU | nn.GELU):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode))


@dataclass(frozen=True)
class Peer:
    """`ask` gives the size of the output's field, or raises. It is None where there is nothing to ask, as nothing installs.

    `probing`: it needs an image larger than the field, and gets the long, thin one.
    """

    name: str
    requirement: str
    ask: Callable[[nn.Module, Shape], Size] | None
    probing: bool = False

    @property
    def folder(self) -> str:
        return self.requirement.replace("==", "-")


PEERS = {
    peer.name: peer
    for peer in (
        Peer("torchlens 2.36.1", "torchlens==2.36.1", torchlens),
        Peer("torchscan 0.2.0", "torchscan==0.2.0", torchscan),
        Peer("torchscan 0.1.2", "torchscan==0.1.2", torchscan),
        Peer("receptivefield 0.5.0", "receptivefield==0.5.0", receptivefield, probing=True),
        Peer("rfa_toolbox", "rfa_toolbox", None),
        Peer("pytorch-receptive-field", "pytorch-receptive-field", None),
        Peer("easy-receptive-fields-pytorch", "easy-receptive-fields-pytorch", None),
    )
}


# ---- what an answer is worth -----------------------------------------------------------------------------------------------


def verdict(answer: Size, size: tuple[int, ...], whole: bool) -> str:
    """ "right" if it is the true size; with gates (`whole`), "whole" if it says that everything is read. Else "wrong"."""
    if tuple(answer) == tuple(size):
        return "right"
    if whole and all(math.isinf(n) for n in answer):
        return "right"
    return "wrong"


# ---- installing ------------------------------------------------------------------------------------------------------------


def install(folder: Path) -> None:
    """Install every peer into ``folder/NAME``; where that fails, leave the reason in ``folder/NAME.why``."""
    folder.mkdir(parents=True, exist_ok=True)
    for peer in PEERS.values():
        target, why = folder / peer.folder, folder / f"{peer.folder}.why"
        if target.is_dir():
            continue
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, "-c", str(ROOT / "constraints.txt"), "--target", str(target), peer.requirement],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PIP_NO_INPUT": "1"},
        )
        if done.returncode == 0:
            why.unlink(missing_ok=True)
        else:
            errors = [line.removeprefix("ERROR:") for line in done.stderr.splitlines() if line.startswith("ERROR:")]
            why.write_text(first_line(errors[-1:] or done.stderr), encoding="utf-8")
        print(f"{peer.name}: {'installed' if done.returncode == 0 else why.read_text(encoding='utf-8')}")


def missing(peer: Peer, folder: Path = FOLDER) -> str | None:
    """Why a peer cannot be asked, or None if it can."""
    why = folder / f"{peer.folder}.why"
    if why.is_file():
        return f"not installed: {why.read_text(encoding='utf-8')}"
    if not (folder / peer.folder).is_dir():
        return "not installed: run `make bench`"
    return None if peer.ask else "installs here, but nobody has written how to ask it"


def asker(name: str) -> Callable[[nn.Module, Shape], Any]:
    """The function of a peer, or of isopter, by name."""
    ask = PEERS[name].ask
    assert ask is not None, name
    return ask


if __name__ == "__main__":
    install(Path(sys.argv[1]))
