"""What the examples that draw figures share: their arguments, the look of a figure, and the numbers beside it as CSV."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # files only: no window, also where there is no screen

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

LOOK: dict[str, Any] = {
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "errorbar.capsize": 2,
}
COLUMN, PAGE = 3.4, 7.0
"""Widths of a figure in inches: one column of a paper, and both."""

COLORS = ("#4d4d4d", "#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Told apart also by the colour-blind (Okabe & Ito 2008)."""


def arguments(what: str | None) -> argparse.Namespace:
    """``--out DIR`` and ``--small``; `what` is the script's docstring."""
    parser = argparse.ArgumentParser(description=(what or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the figures and the numbers (default: out)")
    parser.add_argument("--small", action="store_true", help="fewer and smaller networks: seconds, and larger errors")
    return parser.parse_args()


@dataclass(frozen=True)
class Output:
    """A folder that figures and their numbers are written to."""

    folder: Path

    def figure(self, name: str, figure: Figure) -> None:
        self._write(name, "png", lambda path: figure.savefig(path))
        plt.close(figure)

    def numbers(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """One line per row; the columns are the keys of the first."""
        kept = list(rows)

        def write(path: Path) -> None:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(kept[0]))
                writer.writeheader()
                writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in kept)

        self._write(name, "csv", write)

    def _write(self, name: str, ending: str, write: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.{ending}"
        write(path)
        print(path)
