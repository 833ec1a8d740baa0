"""Importing Keras: with the backend that was chosen, or else with one that is installed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

from isopter.errors import CaptureError, MissingExtra

BACKENDS = ("tensorflow", "jax", "torch")
CHOICE = "KERAS_BACKEND"


def import_keras(purpose: str) -> ModuleType:
    """Keras. Where nobody chose a backend (``KERAS_BACKEND``, ~/.keras/keras.json) that is installed, the first that is.

    Raises MissingExtra without Keras, and without any backend, or without the one that was chosen by the variable.
    """
    if "keras" not in sys.modules and importlib.util.find_spec("keras") is None:
        raise MissingExtra("keras", "keras", purpose)
    if sys.modules.get("keras") is not None:
        return sys.modules["keras"]
    chosen = os.environ.get(CHOICE)
    if not chosen and (backend := _backend(purpose)) is not None:
        os.environ[CHOICE] = backend
    try:
        return importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name == "keras":
            raise MissingExtra("keras", "keras", purpose) from None
        if error.name in BACKENDS:
            raise MissingExtra(error.name, error.name, f"{purpose} with Keras' backend {error.name!r}") from None
        raise
    except ValueError as error:
        raise CaptureError(f"Keras cannot be imported: {' '.join(str(error).split())[:200]} ({CHOICE}={chosen!r}).") from error
    finally:
        if not chosen:
            os.environ.pop(CHOICE, None)


def _backend(purpose: str) -> str | None:
    """The backend to name, or None to leave the choice to Keras (its file names one that is installed)."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        named = json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        named = None
    if isinstance(named, str) and _installed(named):
        return None
    found = next((b for b in BACKENDS if _installed(b)), None)
    if found is None:
        raise MissingExtra("a backend of Keras (tensorflow, jax or torch)", "tensorflow", purpose)
    return found


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a stub without a spec, or an entry of None: as good as absent
        return False
