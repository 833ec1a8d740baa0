"""What the commands share: reading MODEL and its options, and writing the result."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopter.cli.plain import emit
from isopter.errors import UnsupportedOps, UsageError

if TYPE_CHECKING:
    from isopter.analysis import Analysis

SCHEMA_VERSION = 1
"""Of the JSON that commands print."""


def analysis_of(
    model: str, size: str | None, axes: str | None, training: bool, strict: bool = False, *, pretrained: bool = False
) -> Analysis:
    """The analysis of MODEL. Raises UsageError for options that a saved analysis cannot follow."""
    from isopter.analysis import Analysis
    from isopter.entry import analyze

    loaded = loaded_model(model, pretrained)
    if not isinstance(loaded, Analysis):
        with user_code():
            return analyze(loaded, **input_of(size, model, loaded), axes=axes_of(axes), training=training, strict=strict)
    given = [name for name, value in (("-i", size), ("--axes", axes), ("--training", training)) if value]
    if given:
        raise UsageError(f"{model} is a saved analysis, made for one input: {', '.join(given)} cannot change it. Name the model itself.")
    opaque = [str(issue) for issue in loaded.issues if issue.what.startswith("No rule")]
    if strict and opaque:
        raise UnsupportedOps(f"{len(opaque)} kinds of op in {model} have no rule: {'; '.join(opaque)}.")
    return loaded


def loaded_model(model: str, pretrained: bool = False) -> object:
    """MODEL: an `Analysis` for a .json file, else as `load_model`. What its code prints goes to standard error."""
    from isopter.capture.load import existing, load_model

    if model.strip().lower().endswith(".json") and "," not in model:
        from isopter.entry import load

        if pretrained:
            raise UsageError(f"{model} is a saved analysis, and has no weights: --pretrained is for torchvision:NAME and timm:NAME.")
        return load(existing(model.strip()))
    with user_code():
        return load_model(model, pretrained)


@contextlib.contextmanager
def user_code() -> Iterator[None]:
    """Standard output is the result alone, so what a model prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """What isopter warns of goes to standard error as one line, without the place in its code."""
    with warnings.catch_warnings():
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
            if category is UserWarning:
                print(f"isopter: warning: {message}", file=sys.stderr)
            else:
                before(message, category, *rest, **named)

        warnings.showwarning = show
        yield


def input_of(text: str | None, spec: str, model: object) -> dict[str, Any]:
    """The arguments of `analyze` that are its input: ``1x3x224x224`` or ``1,3,224,224`` as a tuple, or what the model is made for."""
    from isopter.capture.zoos import input_of

    return input_of(spec.strip(), model, numbers(text, "-i", "1x3x224x224") if text is not None else None)


def numbers(text: str, option: str, example: str) -> tuple[int, ...]:
    """Whole numbers separated by x or commas. Raises UsageError."""
    if not re.fullmatch(r"\s*-?[0-9]{1,12}(\s*[x\u00d7,]\s*-?[0-9]{1,12})*\s*", text):
        raise UsageError(f"{option} {text!r}: expected whole numbers such as {example}.")
    return tuple(int(part) for part in re.split(r"[x\u00d7,]", text))


def axes_of(text: str | None) -> str | tuple[int, ...] | None:
    """``hw`` as it stands, ``2,3`` as indices."""
    if text is None or re.fullmatch("[a-zA-Z]+", text):
        return text
    return numbers(text, "--axes", "hw or 2,3")


def as_json(data: dict[str, Any]) -> str:
    """JSON with a schema version, for programs. Non-finite floats must have been replaced."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **data}, indent=2, allow_nan=False, ensure_ascii=False)


def finite(value: float | None) -> float | str | None:
    """A float for JSON: infinities as "inf" and "-inf", nan as None."""
    if value is None or value != value:
        return None
    return value if abs(value) != float("inf") else str(value)


def write(text: str, output: str | None) -> None:
    """The result, to standard output or whole to a file."""
    if output is None or output == "-":
        emit(_encodable(text, sys.stdout.encoding or "utf-8") + "\n")
        return
    try:
        _write_whole(Path(output), text + "\n")
    except OSError as error:
        raise UsageError(f"Cannot write {output}: {error.strerror or error}. Choose another file for -o.") from error


def check_output(output: str | None) -> None:
    """What can be known before the work about whether `write` will fail. Raises UsageError."""
    if output is None or output == "-":
        return
    folder = Path(os.path.realpath(output)).parent
    if not folder.is_dir():
        raise UsageError(f"Cannot write {output}: there is no folder {folder}. Make it, or choose another file for -o.")
    if Path(output).is_dir():
        raise UsageError(f"Cannot write {output}: it is a folder. Choose another file for -o.")


def _encodable(text: str, encoding: str) -> str:
    """`text` with stand-ins for what a terminal's encoding lacks."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plain = text.translate({0x2500: "-", 0x2026: "~", 0xB7: "|"})
        return plain.encode(encoding, "replace").decode(encoding)
    return text


def _write_whole(path: Path, text: str) -> None:
    """Through a temporary file in the same folder, so that nobody ever sees half of it."""
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        target.write_text(text, encoding="utf-8")  # a device or a pipe must not be replaced; a folder raises
        return
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def width() -> int:
    """Columns to fill: those of the terminal or of COLUMNS; as many as needed where the output is no terminal."""
    import shutil

    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size((100, 24)).columns
    return 10_000


def color(output: str | None) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set or TERM is dumb."""
    return output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
