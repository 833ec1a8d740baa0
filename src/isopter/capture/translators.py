"""The translators of one framework: by the names of its ops, each the function that emits neutral ops for it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

Translator = TypeVar("Translator", bound=Callable[..., Any])


class Translators(Generic[Translator]):
    """Translators by name, found in the files of a package, one family per file.

    `package` and `path` are ``__name__`` and ``__path__`` of the package; its files are imported when the first translator is asked for.
    """

    def __init__(self, package: str, path: Sequence[str]) -> None:
        self._package, self._path = package, path
        self._table: dict[str, Translator] = {}
        self._loaded = False

    def register(self, names: str) -> Callable[[Translator], Translator]:
        """Register the decorated function for these names (separated by spaces); a name has one translator."""

        def add(function: Translator) -> Translator:
            for name in names.split():
                assert name not in self._table, f"{name} has a translator already"
                self._table[name] = function
            return function

        return add

    def get(self, name: str) -> Translator | None:
        """The translator of an op, or None."""
        self._load()
        return self._table.get(name)

    def items(self) -> list[tuple[str, Translator]]:
        """All names and their translators, in alphabetical order."""
        self._load()
        return sorted(self._table.items())

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            for module in pkgutil.iter_modules(self._path):
                importlib.import_module(f"{self._package}.{module.name}")
