"""docs/findings.md: every rule for findings, from the docstrings of the rules."""

from __future__ import annotations

from isopter.design.findings import rules

HEAD = """# Findings

`analysis.findings()` says what a reader of the numbers should notice; the report and the command line show the same list. Each finding has
the id of the rule that made it, a severity (*problem*, *note* or *good*), the layer it is most about, a message, and the numbers in the
message as plain values (`to_dict()`). A rule that has nothing to say makes no finding.

This page is generated from the rules in `src/isopter/design/rules/`; a test holds it up to date and says how to write it anew.
"""


def page() -> str:
    """The page as Markdown text: a table of the rules, then a section for each."""
    table = ["| rule | what it is about |", "|---|---|", *(f"| [{r.id}](#{_anchor(r.id, r.title)}) | {r.title} |" for r in rules())]
    sections = [f"## {rule.id}: {rule.title}\n\n{rule.page}" for rule in rules()]
    return "\n".join([HEAD, *table]) + "\n\n" + "\n\n".join(sections) + "\n"


def _anchor(id: str, title: str) -> str:
    """The name of a section's heading in a link."""
    kept = "".join(c for c in f"{id}: {title}" if c.isalnum() or c in "-_ ")
    return kept.strip().lower().replace(" ", "-")
