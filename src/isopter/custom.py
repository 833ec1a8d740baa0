"""Rules for operations of your own."""

from __future__ import annotations

from collections.abc import Callable

from isopter.errors import UsageError
from isopter.reads.registry import Rule, rule


def register(name: str) -> Callable[[Rule], Rule]:
    """Give an operation of yours a rule: ``@isopter.register("mylib::myop")`` over a function from Site to Reads.

    `name` is the operator's name in PyTorch ("namespace::name", as in ``torch.library``). The rule sees the shapes of the
    inputs that depend on the data and, in ``site.params``, the operator's plain arguments by name. It returns, for each
    of those inputs, a tuple of relations (see `isopter.reads.relation`). Raises UsageError if the name has a rule.
    """
    if "::" not in name:
        raise UsageError(f'{name!r} is no operator name. Expected "namespace::name", such as "mylib::myop".')
    return rule(name)
