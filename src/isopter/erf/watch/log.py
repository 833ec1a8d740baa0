"""Log: the CSV file of rows, to which a run that goes on where it stopped appends."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from isopter.erf.watch.row import Row, cells, header, parsed
from isopter.errors import UsageError


@dataclass(frozen=True)
class Log:
    """A CSV file of rows of so many space axes. It is opened for each write and closed again, so nothing is lost when a run is killed."""

    path: Path
    axes: int

    def read(self) -> tuple[Row, ...]:
        """The rows of a file that is there already. Makes the folder, and the file with its header, if they are not.

        A last line that was cut off in the middle is taken away. Raises UsageError for a file with other columns, and where there
        can be none.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a+b") as file:
                file.seek(0)
                content = file.read()
                whole = content[: content.rfind(b"\n") + 1]
                if whole != content:
                    file.truncate(len(whole))
        except OSError as error:
            raise UsageError(
                f"Cannot write {self.path}: {error.strerror or error}. Give another folder, such as out='runs/fields'."
            ) from error
        if not whole:
            self._write([header(self.axes)])
            return ()
        return self._parsed(whole)

    def append(self, rows: Iterable[Row]) -> None:
        """Write rows at the end. Raises OSError."""
        self._write([cells(row) for row in rows])

    def _parsed(self, content: bytes) -> tuple[Row, ...]:
        try:
            lines = csv.DictReader(io.StringIO(content.decode()), strict=True)
            if lines.fieldnames != header(self.axes):
                raise ValueError(f"its columns are {', '.join(lines.fieldnames or ())[:200]}")
            return tuple(parsed(line, self.axes) for line in lines)
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise UsageError(
                f"{self.path} is there and is no log of effective fields along {self.axes} axes ({error}), so nothing can be appended. "
                "Give another folder, out=, or move the file away."
            ) from None

    def _write(self, lines: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        with open(self.path, "ab") as file:
            file.write(text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())
