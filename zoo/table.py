"""From records to docs/zoo.md, and to what is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]


def failures(records: Iterable[Record]) -> list[str]:
    """What must not be: a network not captured, a read missed, one in excess of an exact field, an export that says otherwise, a
    convolutional network that is not exact."""
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


def write(records: list[Record], versions: dict[str, str], torch: str, there_are: int, path: Path) -> None:
    """The page. `there_are`: how many networks the zoo holds, tried or not."""
    records = sorted(records, key=lambda r: (r["library"], r["family"], r["name"]))
    sections = [
        HEAD.format(date=date.today().isoformat(), torch=torch, tried=len(records), all=there_are),
        _summary(records, versions),
        _speed(records),
        _why(records),
    ]
    sections += [_families(library, group) for library, group in _grouped(records, lambda r: r["library"])]
    path.write_text("\n".join(sections), encoding="utf-8")


HEAD = """# The zoo

Written by `make zoo` on {date} with PyTorch {torch}; not to be edited by hand. {tried:,} of the {all:,}
networks were tried. Each is built with random weights by the library's own code, captured, and analysed at every unit. A column means:

- *captured*: the model ran under the recorder, and every field has an answer.
- *exact*: no field of any op is only a bound. Convolutional networks must be exact; so must attention, whose field is the whole axis.
- *proved*: input pixels of the network itself were changed, and every unit of every module that changed was held against the
  analysis. *pairs*: of pixel and unit. *missed*: units that changed though the analysis says they do not read the pixel. *excess*: units
  that an exact field names and no probe changed. Networks whose forward pass takes too long, and most of timm's larger variants,
  are not proved.
- *second opinion*: the program that `torch.export` makes of the network was analysed too, and every module that both know has the same
  size, stride, start, regions and exactness. Where `torch.export` itself fails there is none.
"""


def _grouped(records: list[Record], key: Callable[[Record], str]) -> list[tuple[str, list[Record]]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return sorted(groups.items())


COLUMNS = ("networks", "captured", "exact", "proved", "pairs", "missed", "excess", "second opinion", "agrees")


def _counts(records: list[Record]) -> tuple[str, ...]:
    captured = [r for r in records if "ops" in r]
    proved = [r for r in records if "pairs" in r]
    compared = [r for r in records if "unlike" in r]
    numbers = (
        len(records),
        len(captured),
        sum(r["exact"] for r in captured),
        len(proved),
        sum(r["pairs"] for r in proved),
        sum(r["missed"] for r in proved),
        sum(r["excess"] for r in proved),
        len(compared),
        sum(not r["unlike"] for r in compared),
    )
    return tuple(f"{n:,}" for n in numbers)


def _summary(records: list[Record], versions: dict[str, str]) -> str:
    rows = [(library, versions.get(library, ""), *_counts(group)) for library, group in _grouped(records, lambda r: r["library"])]
    rows.append(("**all**", "", *_counts(records)))
    return "## In sum\n\n" + _markdown(("library", "version", *COLUMNS), rows)


def _speed(records: list[Record]) -> str:
    """How long it took, beside the network's own forward pass."""
    ratios = [r["capture_s"] / r["forward_s"] for r in records if r.get("forward_s")]
    times = {r["name"]: r["capture_s"] + r["analysis_s"] for r in records if "analysis_s" in r}
    slowest = sorted(times, key=lambda name: -times[name])[:3]
    ratio, ratio_90 = np.quantile(ratios, (0.5, 0.9))
    time, time_90 = np.quantile(list(times.values()), (0.5, 0.9))
    return (
        "## Time\n\n"
        f"Capture takes {ratio:.2f} times the CPU time of the network's own forward pass on the meta device: the median of the\n"
        f"{len(ratios):,} networks that can run there; nine in ten are under {ratio_90:.2f}.\n\n"
        f"Capture and the table of all fields take {time:.2f} s (median); nine in ten are under {time_90:.2f} s.\n"
        f"The slowest: {', '.join(f'{name} {times[name]:.1f} s' for name in slowest)}.\n"
    )


def _why(records: list[Record]) -> str:
    """Every reason why a field is not exact, and every failure."""
    reasons: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        for what in record.get("issues", ()):
            reasons[what].append(record)
    rows = [
        (
            what,
            str(len(found)),
            str(sum(not r["exact"] for r in found)),
            ", ".join(r["name"] for r in found[:3]) + (", ..." if len(found) > 3 else ""),
        )
        for what, found in sorted(reasons.items(), key=lambda item: -len(item[1]))
    ]
    unexported = Counter(r["not_exported"].partition(":")[0] for r in records if "not_exported" in r)
    wrong = failures(records)
    return (
        "## What is not exact, and why\n\n"
        + _markdown(("what isopter says of it", "networks", "not exact", "such as"), rows)
        + "\n## What went wrong\n\n"
        + ("".join(f"- {_plain(line)}\n" for line in wrong) if wrong else "Nothing.\n")
        + "\n`torch.export` failed on "
        + f"{sum(unexported.values())} of {sum('not_exported' in r or 'unlike' in r for r in records)} networks"
        + (f" ({', '.join(f'{k} {n}' for k, n in unexported.most_common())})" if unexported else "")
        + ".\n"
    )


def _families(library: str, records: list[Record]) -> str:
    rows = []
    for family, group in _grouped(records, lambda r: r["family"]):
        captured = [r for r in group if "ops" in r]
        proved = [r for r in group if "pairs" in r]
        ops = [r["ops"] for r in captured]
        bounds = sorted({what for r in captured if not r["exact"] for what in r["issues"]})
        rows.append(
            (
                family,
                f"{len(captured)} of {len(group)}",
                str(sum(r["exact"] for r in captured)),
                f"{min(ops)}..{max(ops)}" if ops else "",
                f"{sum(r['pairs'] for r in proved):,}" if proved else "",
                "; ".join(bounds),
            )
        )
    return f"\n## {library}\n\n" + _markdown(("family", "captured", "exact", "ops", "pairs proved", "why not exact"), rows)


def _markdown(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    lines += ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
