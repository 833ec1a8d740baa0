"""Board: rows as scalars and maps as pictures in TensorBoard."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from isopter.erf.data.chance import undrawn
from isopter.erf.maps.measured import Measured
from isopter.erf.watch.row import Row
from isopter.errors import MissingExtra, UsageError

PREFIX = "effective"
"""The group of tags: effective/layer4/sigma_0."""


@runtime_checkable
class Writer(Protocol):
    """What is needed of a SummaryWriter; those of PyTorch, tensorboardX and Lightning's logger have it."""

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None) -> Any: ...
    def add_image(self, tag: str, img_tensor: Any, global_step: int | None = None, *, dataformats: str = "CHW") -> Any: ...
    def flush(self) -> Any: ...


class Board:
    """Where rows and pictures go: to a writer that the user has, or to one of its own in `folder`, opened at the first write."""

    def __init__(self, writer: Writer | None, folder: Path | None, pictures: bool) -> None:
        self.writer, self.folder, self.pictures = writer, folder, pictures
        self._own: Any = None

    def write(self, rows: Iterable[Row], fields: Mapping[str, Measured]) -> None:
        """Scalars of the rows (those that are numbers), and the maps of their layers (those that are not zero everywhere)."""
        writer = self._open()
        for row in rows:
            for name, value in row.numbers():
                if not math.isnan(value):
                    writer.add_scalar(f"{PREFIX}/{row.layer}/{name}", float(value), row.step)
            field = fields.get(row.layer)
            if self.pictures and field is not None and field.map.any():
                writer.add_image(f"{PREFIX}/{row.layer}/map", picture(field), row.step, dataformats="HWC")
        writer.flush()

    def close(self) -> None:
        """Close a writer of its own; the user's stays open. A later write opens it again."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def _open(self) -> Writer:
        if self.writer is not None:
            return self.writer
        if self._own is None:
            with undrawn():  # TensorBoard imports TensorFlow where that is installed, and TensorFlow draws
                from torch.utils.tensorboard import SummaryWriter

                self._own = SummaryWriter(log_dir=str(self.folder))
        own: Writer = self._own
        return own


def board(tensorboard: object, folder: Path | None, pictures: bool) -> Board | None:
    """The board asked for by ``tensorboard=``: none for False, one of its own for True, or around a writer.

    Raises UsageError for anything else, and MissingExtra where TensorBoard, or Matplotlib for pictures, is not installed.
    """
    if tensorboard is False:
        return None
    if tensorboard is True and folder is None:
        raise UsageError("tensorboard=True writes into the folder out=, and that is None. Give a folder, or a SummaryWriter.")
    if tensorboard is not True and not isinstance(tensorboard, Writer):
        raise UsageError(f"tensorboard={tensorboard!r} must be True, False, or a SummaryWriter.")
    if tensorboard is True:
        _need("tensorboard", "tensorboard", "tensorboard=True")
    if pictures:
        _need("matplotlib", "plot", "Watch, to draw pictures of the maps (pictures=False leaves them out),")
    return Board(None if tensorboard is True else tensorboard, folder, pictures)


def picture(field: Measured) -> npt.NDArray[np.uint8]:
    """The plot of a field as pixels, (height, width, 3). Drawn beside pyplot, whose figures are the user's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=100, layout="tight")
    canvas: Any = FigureCanvasAgg(figure)  # whose methods have no types
    field.plot(figure.add_subplot())
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _need(package: str, extra: str, purpose: str) -> None:
    try:
        with undrawn():
            importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingExtra(package, extra, purpose) from None
