"""isopter: what a neural network can see. The receptive field of every layer, exactly, proved on your own model.

The public names; each is imported when it is first used, so that ``isopter --help`` loads neither numpy nor a framework.
"""

TYPE_CHECKING = False  # typing's own, without the time to import typing
if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.custom import register
    from isopter.design import objects
    from isopter.design.compare import compare
    from isopter.entry import analyze, load
    from isopter.erf.measure import effective
    from isopter.erf.watch.watch import Watch
    from isopter.errors import (
        CaptureError,
        GraphError,
        IsopterError,
        LayerNotFound,
        MissingExtra,
        UnsupportedOps,
        UsageError,
    )
    from isopter.verification import Verification, verify

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "CaptureError",
    "GraphError",
    "IsopterError",
    "LayerNotFound",
    "MissingExtra",
    "UnsupportedOps",
    "UsageError",
    "Verification",
    "Watch",
    "analyze",
    "compare",
    "effective",
    "load",
    "objects",
    "register",
    "verify",
]

_HOMES = {
    "Analysis": "analysis",
    "Verification": "verification",
    "Watch": "erf.watch.watch",
    "analyze": "entry",
    "compare": "design.compare",
    "effective": "erf.measure",
    "load": "entry",
    "objects": "design",
    "register": "custom",
    "verify": "verification",
}
"""The module of each public name that is no exception."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'isopter' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"isopter.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
