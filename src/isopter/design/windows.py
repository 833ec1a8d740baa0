"""Lengths of windowed ops: how many windows fit, and what the shapes seen once tell about the end that is not in an op's numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from isopter.design.misfit import Misfit


@dataclass(frozen=True, slots=True)
class Window:
    """A convolution or pooling along one axis. `pad` is in front, `back` behind; `ceil`: a last window that hangs over counts."""

    kernel: int
    stride: int
    dilation: int
    pad: int
    back: int = 0
    ceil: bool = False

    @property
    def span(self) -> int:
        """Positions from the first tap to the last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def same(self) -> bool:
        """Whether it is padded so that a stride of 1 keeps the length."""
        return self.pad == self.back and 2 * self.pad == self.span - 1

    def count(self, n: int) -> int:
        """How many windows fit n positions. Raises Misfit if none does."""
        room = n + self.pad + self.back - self.span
        if room < 0:
            padded = f"{n} positions" + (f" and {self.pad + self.back} of padding" if self.pad or self.back else "")
            raise Misfit(f"its window spans {self.span} positions, and there are {padded}")
        if not self.ceil:
            return room // self.stride + 1
        count = -(-room // self.stride) + 1
        return count - ((count - 1) * self.stride >= n + self.pad)  # a window that begins in the padding behind is none


def ended(window: Window, n: int, m: int) -> Window:
    """`window` with the end that gives m outputs for n inputs: padded alike on both sides; else rounded up; else whatever pad it takes."""
    alike = replace(window, back=window.pad)
    for candidate in (alike, replace(alike, ceil=True)):  # as it says of itself, or else rounded up
        if n + 2 * window.pad >= window.span and candidate.count(n) == m:
            return candidate
    return replace(window, back=(m - 1) * window.stride + window.span - n - window.pad)


def edited(window: Window, kernel: int | None, stride: int | None, dilation: int | None, padding: int | None) -> Window:
    """With other numbers (None: as it was). Padding that keeps the length goes on keeping it, unless it is given."""
    found = replace(window, kernel=kernel or window.kernel, stride=stride or window.stride, dilation=dilation or window.dilation)
    if padding is not None:
        return replace(found, pad=padding, back=padding)
    if not window.same or found.span == window.span:
        return found
    total = found.span - 1
    return replace(found, pad=total // 2, back=total - total // 2)


@dataclass(frozen=True, slots=True)
class Transposed:
    """A transposed convolution along one axis; `extra` outputs at the end (PyTorch's output_padding)."""

    kernel: int
    stride: int
    dilation: int
    pad: int
    extra: int = 0

    def count(self, n: int) -> int:
        """How many outputs n positions give. Raises Misfit if there are none."""
        count = (n - 1) * self.stride - 2 * self.pad + self.dilation * (self.kernel - 1) + 1 + self.extra
        if count < 1:
            raise Misfit(f"its padding of {self.pad} leaves nothing of {n} positions")
        return count


def transposed(numbers: tuple[int, int, int, int], n: int, m: int) -> Transposed:
    """The transposed window (kernel, stride, dilation, pad) that gives m outputs for n inputs."""
    bare = Transposed(*numbers)
    return replace(bare, extra=m - ((n - 1) * bare.stride - 2 * bare.pad + bare.dilation * (bare.kernel - 1) + 1))


def edited_transposed(
    window: Transposed, kernel: int | None, stride: int | None, dilation: int | None, padding: int | None
) -> Transposed:
    """As `edited`. Raises Misfit where the outputs added at the end were more than the new stride leaves room for."""
    found = replace(window, kernel=kernel or window.kernel, stride=stride or window.stride, dilation=dilation or window.dilation)
    if padding is not None:
        found = replace(found, pad=padding)
    elif 2 * window.pad == window.dilation * (window.kernel - 1):
        found = replace(found, pad=found.dilation * (found.kernel - 1) // 2)
    if found.extra and found.extra >= max(found.stride, found.dilation):
        raise Misfit(f"it adds {found.extra} outputs at the end, which takes a stride or dilation of more than {found.extra}")
    return found
