"""One call of a Keras model for a trace: the tensors that its layers return, by call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from isopter.capture.keras.calls import followed
from isopter.capture.keras.inputs import Arguments, arguments
from isopter.errors import CaptureError, UsageError


class _Enough(BaseException):
    """All that was wanted has been seen; no model's ``except Exception`` holds it up."""


def of_one_input(model: Any, shape: tuple[int, ...]) -> Arguments:
    """What the model takes. Raises UsageError where it takes none of that shape, or several inputs."""
    given = arguments(model, shape, None)
    if len(given.tensors) != 1:
        names = ", ".join(s.name for s in given.tensors)
        raise UsageError(f"{model.name} has the inputs {names}. Effective fields are measured on models of one.")
    return given


@dataclass
class Traced:
    """A function of the one input tensor that returns, in a list, what the calls of layers do that are wanted; it runs no further than
    that. `made` tells, after a run, whose each tensor is: the path of the call, and the position."""

    model: Any
    given: Arguments
    training: bool
    wanted: frozenset[str]
    made: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, model: Any, shape: tuple[int, ...], training: bool, wanted: frozenset[str]) -> Traced:
        """For an input of that shape. Raises UsageError where the model takes none of it, or several inputs."""
        return cls(model, of_one_input(model, shape), training, wanted)

    @property
    def spec(self) -> Any:
        """Name, shape and type of the input."""
        return self.given.tensors[0]

    def __call__(self, x: Any) -> list[Any]:
        """What the layers return. Raises CaptureError where one was not called."""
        args, kwargs = self.given.call([x])
        found: dict[str, list[Any]] = {}

        def around(path: str, call: Callable[[], Any]) -> Any:
            result = call()
            if path in self.wanted:
                found[path] = [t for t in keras.tree.flatten(result) if keras.ops.is_tensor(t)]
                if len(found) == len(self.wanted):
                    raise _Enough
            return result

        try:
            with followed(self.model, around):
                self.model(*args, training=self.training, **kwargs)
        except _Enough:
            pass
        missing = sorted(self.wanted - found.keys())
        if missing:
            raise CaptureError(f"{missing[0]} was not called in this run, and was in the analysis: the model chooses its path by values.")
        self.made[:] = [(path, at) for path, tensors in found.items() for at in range(len(tensors))]
        return [tensor for tensors in found.values() for tensor in tensors]
