"""Pictures as files: which suffixes ask for one, and how it is written."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isopter.errors import UsageError

SUFFIXES = (".png", ".svg", ".pdf")


def wanted(output: str | None, form: str | None) -> bool:
    """Whether -o names a picture. Raises UsageError where -f asks for text in it."""
    if output is None or Path(output).suffix.lower() not in SUFFIXES:
        return False
    if form is not None:
        raise UsageError(f"-o {output} is a picture, which has no form {form!r}. Leave out -f, or choose another file.")
    return True


def draw(output: str, plot: Callable[[], Any]) -> None:
    """What `plot` draws into a new figure, to a file; the same bytes each time. Raises UsageError where that cannot be written."""
    from isopter.report.figures.look import styled

    with styled():  # also while it is written: types and ids of a vector picture are decided then
        import matplotlib

        matplotlib.use("Agg")
        made = plot()
        figure = (made.flat[0] if hasattr(made, "flat") else made).get_figure(root=True)
        form = Path(output).suffix.lower()[1:]
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}}
        data = io.BytesIO()
        figure.savefig(data, format=form, metadata=dates.get(form, {}))
        matplotlib.pyplot.close(figure)
    try:
        Path(output).write_bytes(data.getvalue())
    except OSError as error:
        raise UsageError(f"Cannot write {output}: {error.strerror or error}. Choose another file for -o.") from error
