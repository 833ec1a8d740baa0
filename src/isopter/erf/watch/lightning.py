"""A watch as a callback of Lightning's Trainer."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra

if TYPE_CHECKING:
    from isopter.erf.watch.watch import Watch

PACKAGES = ("lightning.pytorch", "pytorch_lightning")


def callback(watch: Watch) -> Any:
    """See `Watch.lightning`."""
    base: Any = _package().Callback

    class FieldWatch(base):  # type: ignore[misc]
        """Tells the watch of every optimizer step; `global_step` counts those, whatever the accumulation of gradients."""

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            watch.step(trainer.global_step)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            watch.step(trainer.global_step)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            watch.close()

    return FieldWatch()


def _package() -> Any:
    """The one of the two packages that the program uses already: each has a Callback of its own. Else the one that is installed."""
    for name in sorted(PACKAGES, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in (name, name.partition(".")[0]):
                raise
    raise MissingExtra("lightning", "lightning", "Watch.lightning")
