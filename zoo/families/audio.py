"""Audio networks by hand: the published layouts, for which no library installs beside any torch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.entry import Entry

SOUND = (1, 1, 16000)


def entries() -> Iterator[Entry]:
    """WaveNet, TCN, Conv-TasNet and Demucs."""
    for kind in (WaveNet, TCN, ConvTasNet, Demucs):
        recurrent = kind is Demucs
        yield Entry("audio", kind.__name__, kind.__name__, lambda kind=kind: (kind(), SOUND), not recurrent, True)
    yield Entry("audio", "Demucs", "Demucs-convolutional", lambda: (Demucs(recurrent=False), SOUND), True, True)


class WaveNet(nn.Module):
    """Causal dilated convolutions with gates and skips (van den Oord et al. 2016)."""

    def __init__(self, width: int = 16, layers: int = 10, stacks: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, width, 2)
        self.gates = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=2 ** (i % layers)) for i in range(layers * stacks))
        self.residuals = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in self.gates)
        self.skips = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in self.gates)
        self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(width, width, 1), nn.ReLU(), nn.Conv1d(width, 256, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(F.pad(x, (1, 0)))
        total = torch.zeros_like(x)
        for gate, residual, skip in zip(self.gates, self.residuals, self.skips, strict=True):
            a, b = gate(F.pad(x, (gate.dilation[0], 0))).chunk(2, dim=1)
            made = a.tanh() * b.sigmoid()
            total = total + skip(made)
            x = x + residual(made)
        return self.last(total)


class TCN(nn.Module):
    """Residual blocks of two causal convolutions with weight norm (Bai et al. 2018)."""

    def __init__(self, width: int = 16, levels: int = 8, kernel: int = 7) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.blocks = nn.ModuleList()
        for i in range(levels):
            pads = (kernel - 1) * 2**i
            first, second = (norm(nn.Conv1d(n, width, kernel, padding=pads, dilation=2**i)) for n in (width if i else 1, width))
            self.blocks.append(nn.ModuleList([first, second, nn.Conv1d(width if i else 1, width, 1)]))

    def forward(self, x: Tensor) -> Tensor:
        for first, second, skip in self.blocks:
            pads = first.padding[0]
            y = F.relu(first(x)[..., :-pads])
            y = F.relu(second(y)[..., :-pads])
            x = F.relu(y + skip(x))
        return x


class ConvTasNet(nn.Module):
    """A learned filter bank, masks from a stack of depthwise separable blocks, and its inverse (Luo & Mesgarani 2019)."""

    def __init__(self, bank: int = 32, window: int = 16, width: int = 16, hidden: int = 32, layers: int = 8, stacks: int = 3) -> None:
        super().__init__()
        self.speakers = 2
        self.encoder = nn.Conv1d(1, bank, window, stride=window // 2, bias=False)
        self.norm, self.squeeze = nn.GroupNorm(1, bank), nn.Conv1d(bank, width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, hidden, 1), nn.PReLU(), nn.GroupNorm(1, hidden),
                nn.Conv1d(hidden, hidden, 3, padding=2 ** (i % layers), dilation=2 ** (i % layers), groups=hidden), nn.PReLU(),
                nn.GroupNorm(1, hidden), nn.Conv1d(hidden, width, 1),
            ) for i in range(layers * stacks)
        )  # fmt: skip
        self.masks = nn.Sequential(nn.PReLU(), nn.Conv1d(width, self.speakers * bank, 1), nn.Sigmoid())
        self.decoder = nn.ConvTranspose1d(bank, 1, window, stride=window // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        code = F.relu(self.encoder(x))
        y = self.squeeze(self.norm(code))
        for block in self.blocks:
            y = y + block(y)
        masks = self.masks(y).unflatten(1, (self.speakers, -1))
        return torch.stack([self.decoder(code * masks[:, s]) for s in range(self.speakers)], dim=1)


class Demucs(nn.Module):
    """A waveform U-Net of strided convolutions with an LSTM at the bottom (Défossez et al. 2019)."""

    def __init__(self, width: int = 8, depth: int = 4, recurrent: bool = True) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels = 1
        for i in range(depth):
            wide = width * 2**i
            self.down.append(nn.Sequential(nn.Conv1d(channels, wide, 8, 4), nn.ReLU(), nn.Conv1d(wide, 2 * wide, 1), nn.GLU(1)))
            last: list[nn.Module] = [nn.ReLU()] if i else []
            self.up.insert(
                0, nn.Sequential(nn.Conv1d(wide, 2 * wide, 3, padding=1), nn.GLU(1), nn.ConvTranspose1d(wide, channels, 8, 4), *last)
            )
            channels = wide
        self.lstm = nn.LSTM(channels, channels, 2, bidirectional=True) if recurrent else None
        self.join = nn.Linear(2 * channels, channels) if recurrent else None

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        if self.lstm is not None and self.join is not None:
            x = self.join(self.lstm(x.permute(2, 0, 1))[0]).permute(1, 2, 0)
        for layer in self.up:
            skip = kept.pop()
            n = min(x.shape[-1], skip.shape[-1])
            x = layer(x[..., :n] + skip[..., :n])
        return x
