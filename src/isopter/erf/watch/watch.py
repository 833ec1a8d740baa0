"""Watch: the effective fields of a model in training, every so many steps."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from isopter.erf.maps.measured import Measured
from isopter.erf.watch.board import board
from isopter.erf.watch.log import Log
from isopter.erf.watch.ranks import from_first, pending, rank
from isopter.erf.watch.recipe import recipe, unwrapped
from isopter.erf.watch.row import Row
from isopter.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "fields.csv"


class Watch:
    """Measures effective fields while `model` trains: now, every `every` steps, and at the end.

    Call `step()` after each training step, and `close()` after the last, or use it in a ``with`` block. Training goes on as if there
    were no watch: weights, buffers, gradients, modes and random numbers are left as they were.

    `model`, `layers`, `input_size`, `data`, `samples` and the options are those of `isopter.effective`. All measurements use the same
    samples and the same seed, so what changes between them is the weights' doing. `data` is read once, here, and kept
    (`samples` tensors of the size of the input). Noise is laid under a layer's whole theoretical field, which takes its time where that
    is much larger than the image; data, or ``crop=False``, keep to the image. A model in DistributedDataParallel, or compiled, is
    measured as the module inside.

    `every`: steps between measurements. `out`: a folder for ``fields.csv``, a line per layer and step, written at once; None for no
    files. A file that is there is continued. `tensorboard`: True for scalars and pictures in `out`, or your SummaryWriter.
    `pictures`: whether the maps are drawn there. `start`: how many steps the model has behind it; default the last of the file, or 0.

    A measurement that fails (a dead unit, too little memory) is a warning and a row of nan, never an exception.

    Under torch.distributed all processes must make a watch and call it at the same steps: they share out the samples, and the first one
    writes. Make it after the processes have met (`init_process_group`); else the first measurement waits for the first `step`.

    Raises UsageError for wrong arguments and for a file of something else, CaptureError where the model itself fails, and MissingExtra
    for TensorBoard or Matplotlib, if they are asked for and not installed.
    """

    def __init__(
        self,
        model: Any,
        layers: Any = None,
        input_size: Sequence[int] | None = None,
        *,
        every: int = 500,
        out: str | Path | None = "runs/fields",
        data: Any = None,
        samples: int = 32,
        tensorboard: Any = False,
        pictures: bool = True,
        start: int | None = None,
        **options: Any,
    ) -> None:
        self.every, self._start = _whole(every, "every", 1), None if start is None else _whole(start, "start", 0)
        folder = None if out is None else Path(out)
        self._board = board(tensorboard, folder, pictures)
        self._recipe = recipe(model, layers, input_size, data, samples, options)
        self._log = None if folder is None else Log(folder / FILE, self._recipe.axes)
        self._rows: dict[tuple[int, str], Row] = {}
        self._fields: Mapping[str, Measured] = {}
        self._at = self._start or 0
        self._measured: int | None = None
        self._opened = False
        if not pending():
            self._open()
            if self._measured is None:
                self._measure()

    def __repr__(self) -> str:
        return f"Watch({', '.join(self.layers)}; every {self.every} steps, at step {self._at}, {len(self._rows)} rows)"

    # ---- what it saw ---------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that are measured."""
        return self._recipe.layers

    @property
    def history(self) -> list[Row]:
        """A row per layer and measured step, by step; with those that the file had. See `row.Row`."""
        return sorted(self._rows.values(), key=lambda row: row.step)

    @property
    def fields(self) -> Mapping[str, Measured]:
        """The last measurement, with its maps, by layer name; empty where it failed, and before the first."""
        return self._fields

    def plot(self, ax: Axes | None = None) -> Axes:
        """Sigma over training steps, a line with error bars (one standard error) per layer and axis; returns the Axes.

        Draws into `ax`, or into a new figure. Raises MissingExtra without matplotlib.
        """
        from isopter.erf.watch.draw import plot

        return plot(self.history, ax)

    @property
    def at(self) -> int:
        """How many steps are done."""
        return self._at

    def due(self, step: int) -> bool:
        """Whether ``self.step(step)`` would measure."""
        return self._measured is None or self._at // self.every != step // self.every

    # ---- training ------------------------------------------------------------------------------------------------------

    def step(self, step: int | None = None, *, model: Any = None) -> None:
        """Say that a training step is done; measures whenever a multiple of `every` is reached or passed.

        `step`: how many are done; default one more than before. A number that was measured just now is not measured again; one that is
        lower than before (training went back to a checkpoint) goes on from there, and new rows take the place of old ones. `model`: the
        model as it is now, where training makes a new one instead of changing it, as with JAX.
        """
        if model is not None:
            self._recipe = replace(self._recipe, model=unwrapped(model))
        self._open()
        now = self._at + 1 if step is None else _whole(step, "step", 0)
        due, self._at = self.due(now), now
        if due:
            self._measure()

    def close(self) -> None:
        """Measure the last step, unless that is done, and close the files. A watch that is closed may be used on."""
        if self._opened and self._measured != self._at:
            self._measure()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close; after an exception without another measurement."""
        if kind is None:
            self.close()
        else:
            self._release()

    def lightning(self) -> Any:
        """This watch as a Callback for the Trainer of ``lightning``, or ``pytorch_lightning``; steps are the trainer's `global_step`.

        Raises MissingExtra where neither is installed.
        """
        from isopter.erf.watch.lightning import callback

        return callback(self)

    def huggingface(self) -> Any:
        """This watch as a ``transformers.TrainerCallback``; steps are the trainer's `global_step`. Raises MissingExtra without it."""
        from isopter.erf.watch.huggingface import callback

        return callback(self)

    def keras(self) -> Any:
        """This watch as a ``keras.callbacks.Callback`` for `fit`; steps are batches, counted on from epoch to epoch.

        Raises MissingExtra where Keras is not installed.
        """
        from isopter.erf.watch.keras import callback

        return callback(self)

    # ---- parts -----------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Once, when all processes are there: try the arguments, and take up the file where it ends."""
        if self._opened:
            return
        self._recipe.trial()
        found = from_first(self._log.read) if self._log is not None else ()
        self._rows = {(row.step, row.layer): row for row in found}
        if self._start is None:
            self._at = max((row.step for row in found), default=0)
        if any(row.step == self._at for row in found):
            self._measured = self._at
        self._opened = True

    def _measure(self) -> None:
        step, self._measured = self._at, self._at
        try:
            self._fields = self._recipe.measure()
            rows = [Row.of(step, field) for field in self._fields.values()]
        except Exception as error:  # whatever it is, it is no reason to end a training run
            self._warn(f"no effective field could be measured, so its rows are nan: {type(error).__name__}: {error}", depth=4)
            self._fields = {}
            rows = [Row.failed(step, layer, self._recipe.axes) for layer in self.layers]
        self._rows |= {(row.step, row.layer): row for row in rows}
        if rank() == 0:
            if self._log is not None:
                self._written(self._log.append, rows)
            if self._board is not None:
                self._written(self._board.write, rows, self._fields)

    def _written(self, write: Callable[..., None], *what: Any) -> None:
        try:
            write(*what)
        except Exception as error:  # a full disk is no reason either
            self._warn(f"the effective fields were measured and not written: {type(error).__name__}: {error}", depth=5)

    def _warn(self, said: str, depth: int) -> None:
        """A warning at the user's line, `depth` calls up."""
        warnings.warn(f"Step {self._at}: {said}", stacklevel=depth)

    def _release(self) -> None:
        if self._board is not None:
            self._board.close()


def _whole(value: Any, name: str, least: int) -> int:
    """A whole number of any type, such as a tensor of one."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise UsageError(f"{name}={value!r} must be a whole number of {least} or more.")
    return number
