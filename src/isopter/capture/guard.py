"""Running code that is not isopter's: whatever it raises becomes one clear message with file and line."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from isopter.errors import CaptureError

T = TypeVar("T")


def user_code(run: Callable[[], T], doing: str, missing: str = "") -> T:
    """`run()`, with whatever the user's code raises as a CaptureError; that module `missing` is missing passes through."""
    try:
        return run()
    except ModuleNotFoundError as error:
        if missing and error.name and (missing == error.name or missing.startswith(error.name + ".")):
            raise
        raise _failed(error, doing) from error
    except (Exception, SystemExit) as error:
        raise _failed(error, doing) from error


def _failed(error: BaseException, doing: str) -> CaptureError:
    lines = str(error).strip().splitlines()
    said = f"{type(error).__name__}{f': {lines[0][:300]}' if lines else ''}"
    if isinstance(error, SyntaxError):
        said, where = f"SyntaxError: {error.msg}", f"{error.filename}, line {error.lineno}"
    else:
        where = _where(error)
    return CaptureError(f"{said} ({where}), while {doing}. Run that code yourself to see the whole error.")


def _where(error: BaseException) -> str:
    """File and line of the innermost frame that is the user's own, not a library's."""
    frames = traceback.extract_tb(error.__traceback__)
    libraries = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    libraries.append(str(Path(__file__).resolve().parents[1]))
    own = [f for f in frames if not f.filename.startswith("<") and not any(f.filename.startswith(lib) for lib in libraries)]
    frame = (own or list(frames))[-1]
    return f"{frame.filename}, line {frame.lineno}"
