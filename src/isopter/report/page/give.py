"""The report as a file, and as a frame in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

from isopter.design.objects import Objects
from isopter.errors import UsageError
from isopter.report.page.document import document
from isopter.verification import Verification

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
    effects, proofs = _each(effective, len(analyses), "effective"), _each(verification, len(analyses), "verification")
    for effect in effects:
        _check("effective", effect, Mapping | bool | None, "what isopter.effective returned, a dict of fields by layer name, or False")
    for proof in proofs:
        _check("verification", proof, Verification | None, "what isopter.verify returned")
    _check("objects", objects, Objects | None, 'sizes of objects: isopter.objects.from_coco("instances.json")')
    _check("title", title, str | None, "text")
    return document(
        analyses,
        effective=effects,
        verified=proofs,
        image=image,
        objects=objects,
        title=title,
    )


def together(analysis: Analysis, compare: Any = None) -> list[Analysis]:
    """The analysis, and those to compare it with: another one, several, or None. Raises UsageError for anything else."""
    others = [] if compare is None else list(compare) if isinstance(compare, Sequence) else [compare]
    for other in others:
        _check("compare", other, type(analysis), "another analysis, or several: isopter.analyze(model, input_size)")
    return [analysis, *others]


def _check(name: str, value: object, kind: type | UnionType, expected: str) -> None:
    if not isinstance(value, kind):
        raise UsageError(f"{name}={type(value).__name__} must be {expected}.")


def _each(given: Any, count: int, name: str) -> list[Any]:
    """One for each model: True and False are of all of them, what else is given alone is the first one's."""
    if isinstance(given, bool):
        return [given] * count
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
