"""Every exception isopter raises on purpose. Each message says what, where, what was expected and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class IsopterError(Exception):
    """Base class: catching it catches everything isopter raises on purpose."""


class UsageError(IsopterError, ValueError):
    """An argument is wrong: a shape, a unit, a layer text, an option."""


class LayerNotFound(UsageError, KeyError):
    """No layer has this name; the message offers the nearest names."""

    def __init__(self, name: object, known: Iterable[str]) -> None:
        known = list(known)
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4)
        hint = f"Nearest: {', '.join(near)}." if near else f"The first names are: {', '.join(known[:5])}."
        super().__init__(f"No layer is called {str(name)!r}. {hint} Print the analysis, or its .ops, to see them all.")

    def __str__(self) -> str:
        return str(self.args[0])


class DeadUnits(UsageError):
    """No gradient but zero reached the input: the arguments may be right, and the units closed."""


class CaptureError(IsopterError, RuntimeError):
    """The model could not be loaded, or raised while it was being recorded."""


class GraphError(IsopterError, ValueError):
    """A graph breaks its own rules: a fault of a capture, or of a file that was edited by hand."""


class UnsupportedOps(IsopterError, NotImplementedError):
    """``strict=True`` met operations without a rule; the message names all of them."""


class MissingExtra(IsopterError, ImportError):
    """An optional dependency is not installed; the message is its install line."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs {package}, which is not installed. Run: pip install "isopter[{extra}]"')
