"""Keras on PyTorch: a model is a torch module then, whose calls Keras tells of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import keras
from torch import Tensor

from isopter.analysis import Analysis
from isopter.capture.keras.calls import followed
from isopter.capture.keras.inputs import arguments
from isopter.capture.keras.torch import _Call
from isopter.capture.torch import capture as recording
from isopter.capture.torch.gauge import Gauge
from isopter.erf.asks import Target
from isopter.erf.facts import Facts
from isopter.erf.keras.facts import Run
from isopter.erf.keras.traces import of_one_input
from isopter.erf.live import Theory
from isopter.erf.passes import check_same
from isopter.erf.torch.facts import told
from isopter.erf.torch.live import Live
from isopter.erf.traced import theory
from isopter.fields.plan import Plan


class _Shared(_Call):
    """A call of the model itself: a recording with numbers runs a copy, and a copy that Python makes of a Keras model is another model
    (its moving averages are new ones). At rest a call changes nothing."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


class KerasLive(Live):
    """A Keras model that runs, see `isopter.erf.live.Live`."""

    def __init__(self, model: Any, analysis: Analysis, **options: Any) -> None:
        plan = analysis._walk(analysis.origin).plan
        of_one_input(model, plan.graph.ops[plan.origin].shape)
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


def facts(plan: Plan, run: Run) -> Facts:
    """What a forward pass says in place of what theory assumes."""
    inputs = {f"input.{k}": keras.ops.convert_to_tensor(x) for k, x in enumerate(run.arrays)}
    graph = recording.capture(_Shared(run.model, run.given, False), inputs, listener=Gauge)
    check_same(plan.graph, graph, run.model.name)
    names = {op.name: own.name for own, op in zip(plan.graph.ops, graph.ops, strict=True)}
    return {names[name]: own for name, own in told(graph).items()}
