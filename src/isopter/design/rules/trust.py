"""RF701, RF901 and RF000: what the numbers leave out, and how sure they are."""

from __future__ import annotations

from typing import Any

from isopter.design.findings import Finding, finding
from isopter.design.subject import Subject, listed


@finding("RF701", "Layers also read the image through a summary")
def context(subject: Subject) -> Finding | None:
    """A squeeze-excite gate, a norm over space or a global branch lets every unit know something of the whole image.

    The sizes in the table are those of the local field; what comes through a summary is its *context*, and is left out of them.

    **What to do.** Nothing, if context is wanted. For tiles, streaming and tests of locality it matters: the output depends on the whole
    input. Ask for it with `context=True`.

    **How it is computed.** Every way from the input to a layer passes some number of summaries (reads that collapse space to one
    number); the ways with the fewest make the local field, and a layer that other ways reach, too, has context. Named are the ops
    where such a way comes in, counted all layers after them. A *note*.

    Source: isopter, docs/definitions.md.
    """
    after = [i for i in subject.seen if subject.plan.context[i]]
    entries = [subject.name(i) for i in after if any(not edge.local for edge in subject.plan.incoming(i, True))]
    if not entries:
        return None
    message = f"{listed(entries)} read{'s' * (len(entries) == 1)} the whole image through a summary, and with "
    message += f"{'them' if entries[1:] else 'it'} {len(after)} layer{'s' * (len(after) != 1)} in all. "
    message += "Sizes do not count it (context=True does)."
    return Finding("RF701", "note", entries[0], message, {"layers": entries, "after": len(after)})


@finding("RF901", "Some fields are bounds")
def bounds(subject: Subject) -> Finding | None:
    """Something in the model could not be followed exactly: an op without a rule, positions chosen by values, a control path taken.

    Fields behind it may be smaller than isopter says, never larger. What was taken on trust is said here, too.

    **What to do.** Write a rule for the op (docs/add-a-rule.md); for positions chosen by values there is no smaller bound that holds for
    every input.

    **How it is computed.** `Analysis.issues`, and the exactness of every op: the worst on any way to it. A *problem* where an output is
    not exact, else a *note*.

    Source: isopter, ARCHITECTURE.md, "Nothing is guessed".
    """
    issues = subject.analysis.issues
    bounded = [i for i in subject.seen if subject.plan.exactness[i] != "exact"]
    if not issues and not bounded:
        return None
    outputs = [subject.name(i) for i in dict.fromkeys(subject.analysis.graph.outputs) if i in set(bounded)]
    first = subject.name(bounded[0]) if bounded else ""
    said = [f"{issue}." for issue in issues[:3]] + ([f"And {len(issues) - 3} more."] if len(issues) > 3 else [])
    if bounded:
        also = f", those of the outputs {listed(outputs)} too." if outputs else "; no output is among them."
        said.append(f"The fields of {len(bounded)} layer{'s' * (len(bounded) != 1)} are bounds, from {first} on{also}")
    numbers: dict[str, Any] = {
        "issues": [{"where": i.where, "what": i.what, "uses": i.uses} for i in issues],
        "layers": len(bounded),
        "outputs": outputs,
    }
    return Finding("RF901", "problem" if outputs else "note", first, " ".join(said), numbers)


@finding("RF000", "The proof on the model")
def proof(subject: Subject) -> Finding | None:
    """What `isopter.verify` found when it changed pixels of the real model's input and watched which units change.

    **What to do.** After a failure, do not trust the fields of the layers named; please report the model.

    **How it is computed.** Given by whoever asked for findings; see `isopter.verify`. *Good* if every pair of pixel and unit that was
    compared agrees, else a *problem*. Without a verification nothing is said.

    Source: isopter; probing one position at a time is exact in float64 with positive weights.
    """
    result = subject.verification
    if result is None:
        return None
    wrong = [layer.name for layer in result.layers if layer.missed or (layer.excess and layer.exact)]
    numbers = {
        "ok": result.ok,
        "checked": result.checked,
        "pixels": len(result.pixels),
        "layers": len(result.layers),
        "missed": result.missed,
        "excess": result.excess,
    }
    compared = f"{result.checked:,} pairs of pixel and unit in {len(result.layers)} layers"
    if result.ok:
        return Finding("RF000", "good", "", f"The model itself reads what is said: {compared} agree.", numbers)
    message = f"The model itself disagrees: of {compared}, {result.missed:,} were missed and {result.excess:,} are in excess"
    message += f", in {listed(wrong)}." if wrong else "."
    return Finding("RF000", "problem", wrong[0] if wrong else "", message, numbers)
