"""What all pictures share: colours, type, and the Axes they are drawn into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra, UsageError
from isopter.report.lines import printable
from isopter.report.table import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THEORY, EFFECTIVE, SECOND = "#d97706", "#0d9488", "#2563eb"
"""The theoretical field, the effective field, a second network: as in the interactive report, and told apart also by the colour-blind."""

INK, FAINT, RULE = "#1f2937", "#8a93a3", "#d6dae1"
HATCH = "#aab1bd"

COLUMN, PAGE = 3.4, 7.0
"""Widths of a new figure in inches: one column of a paper (80 mm and a little), and both."""

LOOK: dict[str, Any] = {
    "figure.facecolor": "white",
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 300,
    "savefig.facecolor": "white",
    "font.size": 7.5,
    "text.color": INK,
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "hatch.linewidth": 0.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "isopter",
}
"""Of figures isopter makes. What is drawn into an Axes of the user's keeps the user's style, but for the colours that mean something."""


@contextmanager
def styled(width: float = COLUMN, height: float = 2.9) -> Iterator[None]:
    """Figures made inside have isopter's look, and this size in inches. Raises MissingExtra without matplotlib."""
    try:
        from matplotlib import rc_context
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise MissingExtra("matplotlib", "plot", "A picture") from None
    settings: Any = LOOK | {"figure.figsize": (width, height)}
    with rc_context(settings):
        yield


@contextmanager
def drawing(ax: Any, width: float = COLUMN, height: float = 2.9) -> Iterator[Axes]:
    """The Axes to draw into: the user's as it is, or that of a new figure in isopter's look."""
    with row(None if ax is None else [ax], 1, width, height) as (made,):
        yield made


@contextmanager
def row(
    given: Iterable[Any] | None, count: int, width: float, height: float, ratios: Sequence[float] | None = None
) -> Iterator[list[Axes]]:
    """As `drawing`, for several Axes side by side, whose widths have these ratios."""
    if given is not None:
        yield [checked(ax) for ax in given]
        return
    with styled(width, height):
        import matplotlib.pyplot as plt

        made: list[Axes] = list(plt.subplots(1, count, squeeze=False, width_ratios=ratios)[1][0])
        for ax in made:
            settle(ax)
        yield made


def settle(ax: Axes) -> None:
    """Ticks are made late, outside of `styled`: tell them their look now."""
    ax.tick_params(labelsize=LOOK["xtick.labelsize"], color=INK, labelcolor=INK, width=LOOK["axes.linewidth"], length=2.5)


def checked(ax: Any) -> Axes:
    """An Axes. Raises UsageError."""
    if not hasattr(ax, "add_patch"):
        raise UsageError(f"ax={type(ax).__name__} is no Axes. Give one, such as plt.subplots()[1], or leave it out for a new figure.")
    return ax  # type: ignore[no-any-return]


def title(ax: Axes, head: str, facts: Sequence[str] = (), *, above: float = 0) -> None:
    """A line, and under it as many facts to a line as there is room for. Hardly larger than the labels: several lines in the size of
    titles would not fit over most Axes. `above`: room to leave under it, in lines of small type."""
    size = 1.2 * small(ax)
    points = ax.get_window_extent().width / ax.get_figure(root=True).dpi * 72  # type: ignore[union-attr]
    lines = _filled(facts, int(points / (size * LETTER)))
    ax.set_title("\n".join([head, *lines] if head else lines), loc="left", fontsize=size, pad=5 + above * small(ax), parse_math=False)


LETTER = 0.55
"""Width of a letter of the type matplotlib comes with, in parts of its size: about that on average."""


def _filled(parts: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 3 <= width:
            lines[-1] += f" \u00b7 {part}"
        else:
            lines.append(part)
    return lines


def name(text: str, width: int = 40, keep: str = "end") -> str:
    """A name from a model as text for a picture: on one line, and of this width at most. For `parse_math=False`."""
    return cut(printable(text), width, keep=keep)


def label(text: str, width: int = 40) -> str:
    """A name where matplotlib would read formulas: a dollar sign stays one. A leading underscore would hide it from legends."""
    plain = name(text, width, "start").replace("$", r"\$")
    return f"\u200b{plain}" if plain.startswith("_") else plain


def below(ax: Axes, handles: list[Any], columns: int = 4) -> None:
    """A legend under the Axes, where it covers nothing."""
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        bbox_transform=_under(ax),
        ncols=columns,
        fontsize=small(ax),
        frameon=False,
        handlelength=1.2,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def _under(ax: Axes) -> Any:
    """Across: the Axes; down: from the lower edge of what stands under it (labels of ticks and axis), about three lines of type."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.figure
    lines = 3.5 if ax.get_xlabel() else 2.0
    return ax.transAxes + ScaledTranslation(0, -lines * small(ax) / 72, figure.dpi_scale_trans)


def small(ax: Axes) -> float:
    """Size of remarks inside a picture: a little below that of its axis labels."""
    size: Any = ax.xaxis.label.get_fontsize()
    return 0.88 * float(size)
