"""Findings: what a reader of the numbers should notice, each under the id of the rule that found it.

A rule is a function of a `Subject` that returns one `Finding` or None; its docstring is its page in docs/findings.md.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from isopter.design.subject import Subject, subject
from isopter.errors import UsageError

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.design.subject import Effects
    from isopter.verification import Verification

Severity = Literal["problem", "note", "good"]


@dataclass(frozen=True)
class Finding:
    """One thing to know of a model.

    `rule`: an id such as "RF201", explained in docs/findings.md. `severity`: "problem", "note" or "good". `layer`: the op it is most
    about, a key of the analysis, or "". `message`: a sentence or two of plain text. `numbers`: what the message says, as plain values.
    """

    rule: str
    severity: Severity
    layer: str
    message: str
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.rule} {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "layer": self.layer,
            "message": self.message,
            "numbers": dict(self.numbers),
        }


Check = Callable[[Subject], Finding | None]


@dataclass(frozen=True)
class Rule:
    """A rule for findings: its id, what it is about in a few words, and the function that looks."""

    id: str
    title: str
    check: Check

    @property
    def page(self) -> str:
        """What it means, what to do about it and how it is computed."""
        return inspect.cleandoc(self.check.__doc__ or "")


_RULES: dict[str, Rule] = {}


def finding(id: str, title: str) -> Callable[[Check], Check]:
    """Register the decorated function as the rule with this id."""

    def register(check: Check) -> Check:
        if id in _RULES:
            raise UsageError(f"The rule {id} is {_RULES[id].check.__qualname__} already. Choose another id.")
        _RULES[id] = Rule(id, title, check)
        return check

    return register


def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of their ids."""
    _load()
    return tuple(_RULES[id] for id in sorted(_RULES))


def findings(
    analysis: Analysis,
    effective: Effects | None = None,
    verification: Verification | None = None,
    *,
    input: str | None = None,
    expected: bool = True,
) -> tuple[Finding, ...]:
    """See `Analysis.findings`."""
    about = subject(analysis, input=input, effective=effective, verification=verification, theory=expected)
    return tuple(found for rule in rules() if (found := rule.check(about)) is not None)


@functools.cache
def _load() -> None:
    package = importlib.import_module("isopter.design.rules")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
