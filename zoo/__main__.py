"""``python -m zoo run [PATTERN ...]`` and ``python -m zoo table``."""

from __future__ import annotations

import fnmatch
import sys
from pathlib import Path

import click
import torch

from zoo.catalogue import catalogue
from zoo.run import read, run
from zoo.table import failures, write

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "out" / "zoo.jsonl"
PAGE = ROOT / "docs" / "zoo.md"


@click.group(help=__doc__)
def main() -> None:
    """The commands."""


@main.command("run")
@click.argument("patterns", nargs=-1)
@click.option("--sample", is_flag=True, help="Only the few networks of a quick run.")
@click.option("--workers", default=2, show_default=True)
@click.option("--fresh", is_flag=True, help="Try again what went well before, too.")
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def run_(patterns: tuple[str, ...], sample: bool, workers: int, fresh: bool, records: Path) -> None:
    """Try networks whose names match PATTERNS (such as timm:resnet*; default all), and go on where an earlier run stopped.

    Exit code 1 if a network that was asked for is not captured, or an answer does not hold, or a library is missing.
    """
    entries, versions = catalogue()
    missing = [f"{library} {version}" for library, version in versions.items() if version.startswith("left out")]
    wanted = [
        name for name, entry in entries.items()
        if (entry.sample or not sample) and (not patterns or any(fnmatch.fnmatchcase(name, p) for p in patterns))
    ]  # fmt: skip
    if not wanted:
        raise click.UsageError(f"No network is called {' or '.join(patterns)}. Examples: {', '.join(list(entries)[:3])}.")
    known = {} if fresh else read(records)
    run([n for n in wanted if n not in known or failures([known[n]])], records, workers=workers)
    found = read(records)
    bad = missing * (not patterns) + failures(found[n] for n in wanted)
    click.echo(f"{len(wanted)} networks, {len(bad)} with something wrong")
    for line in bad:
        click.echo(f"  {line}")
    sys.exit(1 if bad else 0)


@main.command("table")
@click.option("--records", type=click.Path(path_type=Path, exists=True), default=RECORDS)
def table(records: Path) -> None:
    """Write docs/zoo.md from the records."""
    entries, versions = catalogue()
    write([r for name, r in read(records).items() if name in entries], versions, torch.__version__, len(entries), PAGE)
    click.echo(f"{PAGE.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
