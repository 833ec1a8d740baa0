"""A watch as a callback of Keras' `fit`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra

if TYPE_CHECKING:
    from isopter.erf.watch.watch import Watch


def callback(watch: Watch) -> Any:
    """See `Watch.keras`."""
    try:
        keras: Any = importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name != "keras":
            raise
        raise MissingExtra("keras", "keras", "Watch.keras") from None
    base: Any = keras.callbacks.Callback

    class FieldWatch(base):  # type: ignore[misc]
        """Tells the watch of every training step. With ``steps_per_execution`` Keras tells of several at once, by the last one's number."""

        def on_train_begin(self, logs: Any = None) -> None:
            self.before, self.batch = watch.at, -1
            watch.step(watch.at)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.before, self.batch = self.before + self.batch + 1, -1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.batch = batch
            if watch.due(self.before + batch + 1):
                self.up_to_date()
            watch.step(self.before + batch + 1)

        def on_train_end(self, logs: Any = None) -> None:
            watch.close()

        def up_to_date(self) -> None:
            """With JAX the weights are in the trainer's hands during an epoch: have them put into the model."""
            sync = getattr(self.model, "jax_state_sync", None)
            if sync is not None:
                sync()

    return FieldWatch()
