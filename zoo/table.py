"""From records to docs/zoo.md, and to what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Record = dict[str, Any]


def failures(records: list[Record]) -> list[str]:
    """What must not be: a network not captured, a read missed, one in excess of an exact field, a convolutional net not exact."""
    lines = []
    for record in records:
        name = record["name"]
        if "error" in record:
            lines.append(f"{name}: {record['stage']}: {record['error']}")
        elif record.get("missed") or record.get("excess"):
            lines.append(f"{name}: {'; '.join(record['wrong'])}")
        elif record.get("unlike"):
            lines.append(f"{name}: the exported program says otherwise: {'; '.join(record['unlike'])}")
        elif record["convolutional"] and not record["exact"]:
            lines.append(f"{name}: not exact: {'; '.join(record['issues'])}")
    return lines


def write(records: list[Record], versions: dict[str, str], path: Path) -> None:
    raise NotImplementedError
