"""The report as a file, and as a frame in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopter.errors import UsageError
from isopter.report.page.document import document

if TYPE_CHECKING:
    from isopter.analysis import Analysis


def page(
    analysis: Analysis,
    *,
    image: Any = None,
    compare: Any = None,
    effective: Any = None,
    objects: Any = None,
    verification: Any = None,
    title: str | None = None,
) -> str:
    """See `Analysis.save_html`."""
    analyses = together(analysis, compare)
    return document(
        analyses,
        effective=_each(effective, len(analyses), "effective"),
        verified=_each(verification, len(analyses), "verification"),
        image=image,
        objects=objects,
        title=title,
    )


def together(analysis: Analysis, compare: Any = None) -> list[Analysis]:
    """The analysis, and those to compare it with: another one, several, or None. Raises UsageError for anything else."""
    others = [] if compare is None else list(compare) if isinstance(compare, Sequence) else [compare]
    wrong = next((other for other in others if not isinstance(other, type(analysis))), None)
    if wrong is not None:
        raise UsageError(f"compare={type(wrong).__name__} must be another analysis, or several: isopter.analyze(model, input_size).")
    return [analysis, *others]


def _each(given: Any, count: int, name: str) -> list[Any]:
    """One for each model: what is given alone is the first one's."""
    if not isinstance(given, Sequence):
        return [given, *[None] * (count - 1)]
    if len(given) != count:
        raise UsageError(f"{name} has {len(given)} entries for {count} models: give one for each, None where there is none.")
    return list(given)


def save(text: str, path: str | Path) -> Path:
    """Write the page. Raises UsageError where the file cannot be written."""
    file = Path(path)
    try:
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"Cannot write {file}: {error.strerror or error}. Choose another file.") from error
    return file


@dataclass(frozen=True)
class Frame:
    """A report in a notebook: it runs in a sandbox, without access to the notebook around it. `height` in CSS pixels."""

    html: str
    height: int = 900

    def _repr_html_(self) -> str:
        return (
            f'<iframe sandbox="allow-scripts allow-downloads" title="Receptive fields" srcdoc="{escape(self.html)}" '
            f'style="width:100%;height:{self.height}px;border:1px solid #8888"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Frame({len(self.html) // 1000} kB): the report, to be shown in a notebook. Outside of one: analysis.save_html(path)."
