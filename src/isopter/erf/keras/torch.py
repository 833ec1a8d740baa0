"""Keras on PyTorch: a model is a torch module then, whose calls Keras tells of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import keras
from torch import Tensor

from isopter.analysis import Analysis
from isopter.capture.keras.calls import followed
from isopter.capture.keras.inputs import arguments
from isopter.erf.asks import Target
from isopter.erf.live import Theory
from isopter.erf.torch.live import Live
from isopter.erf.traced import theory


class KerasLive(Live):
    """A Keras model that runs, see `isopter.erf.live.Live`."""

    def __init__(self, model: Any, analysis: Analysis, **options: Any) -> None:
        super().__init__(model, analysis, **options)
        self._analysis = analysis

    def theory(self, layers: Any) -> Theory:
        """Fields for inputs of other sizes."""
        return theory(self.original, self._analysis, self.training)

    def _heard(self, x: Tensor, calls: Collection[str], visit: Callable[[str, list[Tensor]], None]) -> None:
        def around(path: str, call: Callable[[], Any]) -> Any:
            result = call()
            if path in calls:
                visit(path, [t for t in keras.tree.flatten(result) if isinstance(t, Tensor)])
            return result

        args, kwargs = arguments(self.model, tuple(x.shape), None).call([x])
        with followed(self.model, around):
            self.model(*args, training=self.training, **kwargs)


def live(model: Any, analysis: Analysis, *, target: Target, seed: int, training: bool, dtype: Any, device: Any) -> Live:
    """A Keras model, ready to be measured."""
    return KerasLive(model, analysis, target=target, seed=seed, training=training, dtype=dtype, device=device)
