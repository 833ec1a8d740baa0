"""A watch as a callback of the Trainer of Hugging Face transformers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra

if TYPE_CHECKING:
    from isopter.erf.watch.watch import Watch


def callback(watch: Watch) -> Any:
    """See `Watch.huggingface`."""
    try:
        transformers: Any = importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise MissingExtra("transformers", "transformers", "Watch.huggingface") from None
    base: Any = transformers.TrainerCallback

    class FieldWatch(base):  # type: ignore[misc]
        """Tells the watch of every optimizer step."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            watch.step(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            watch.step(state.global_step)

        def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            watch.close()

    return FieldWatch()
