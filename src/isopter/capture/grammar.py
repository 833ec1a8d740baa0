"""The grammar of layer texts: ``"stem: conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*4"`` to a flat list of layers.

Layers are separated by commas or newlines; ``[ ... ]*n`` repeats and nests; ``name:`` in front of a layer names it. What
each layer means is in `isopter.capture.text`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from isopter.errors import UsageError

Family = Literal["conv", "dwconv", "pool", "avgpool", "deconv", "up", "gap", "linear", "pointwise"]

EXAMPLE = '"conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*4"'

MAX_LAYERS = 20_000
"""Ten times the deepest network in use; beyond it a text is a slip of the repeat count."""

MAX_NUMBER = 4096
"""No kernel, stride, padding or scale in use comes near; beyond it tables of positions no longer fit in memory."""

MIN_SCALE = 0.001
"""Scales are kept as fractions with denominators up to 10,000."""

MAX_DEPTH = 32
"""Nested brackets; the parser recurses."""

_POINTWISE = "relu relu6 leakyrelu prelu elu selu gelu silu swish mish hardswish sigmoid tanh softplus bn batchnorm norm dropout identity"

WORDS: Mapping[str, tuple[Family, str]] = {
    "conv": ("conv", "conv"),
    "dwconv": ("dwconv", "dwconv"),
    "depthwise": ("dwconv", "dwconv"),
    "pool": ("pool", "pool"),
    "maxpool": ("pool", "pool"),
    "avgpool": ("avgpool", "avgpool"),
    "deconv": ("deconv", "deconv"),
    "convt": ("deconv", "deconv"),
    "up": ("up", "up"),
    "upsample": ("up", "up"),
    "gap": ("gap", "gap"),
    "linear": ("linear", "linear"),
    "fc": ("linear", "linear"),
    **{word: ("pointwise", word) for word in _POINTWISE.split()},
}
"""Every layer word: what it is, and the base of the names its layers get."""

MODES: Mapping[str, str] = {
    "nearest": "nearest",
    "linear": "linear",
    "bilinear": "linear",
    "trilinear": "linear",
    "cubic": "cubic",
    "bicubic": "cubic",
}

OPTIONS: Mapping[Family, tuple[str, ...]] = {
    "conv": ("k", "s", "p", "d", "g", "same"),
    "dwconv": ("k", "s", "p", "d", "same"),
    "pool": ("k", "s", "p", "d", "same", "ceil"),
    "avgpool": ("k", "s", "p", "same", "ceil"),
    "deconv": ("k", "s", "p", "d", "g", "op"),
    "up": ("k", "mode"),
    "gap": (),
    "linear": ("k",),
    "pointwise": (),
}
"""The options each family takes; "k" is the bare first number (a kernel, a scale, the features of a linear layer)."""

_SHOWN = {
    "k": "a kernel such as 3 or 3x5",
    "s": "s2 (stride)",
    "p": "p1 (padding)",
    "d": "d2 (dilation)",
    "g": "g4 (groups)",
    "op": "op1 (output padding)",
    "same": "same",
    "ceil": "ceil",
    "mode": "nearest, bilinear or bicubic",
}
_FIRST: Mapping[Family, str] = {"up": "a scale such as 2", "linear": "a number of features such as 10"}
_FROM_ONE = {"k": "kernel", "s": "stride", "d": "dilation", "g": "number of groups"}
_TOKEN = re.compile(r"[ \t\r\f\v\u00a0]+|[\n,\[\]*:]|[^\s,\[\]*:]+|\s")
_NUMBERS = re.compile(r"([a-z]*)([0-9]+(?:\.[0-9]+)?(?:[x\u00d7][0-9]+(?:\.[0-9]+)?)*)")
_NAME = re.compile(r"\w[\w.\-]*")


@dataclass(frozen=True, slots=True)
class Option:
    """An option as written: its numbers (one, or one per axis), or the word of a mode; `at` is its position in the text."""

    numbers: tuple[float, ...]
    word: str
    at: int


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: `word` is the base of its name if `name` is empty, `at` its position in the text."""

    family: Family
    word: str
    name: str
    options: Mapping[str, Option]
    at: int


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    at: int


def read(text: str) -> tuple[Layer, ...]:
    """All layers in order, repeats written out. Raises UsageError with a caret under the fault."""
    tokens = [_Token(m.group(), m.start()) for m in _TOKEN.finditer(text) if m.group() == "\n" or not m.group().isspace()]
    if not any(token.text not in ("\n", ",") for token in tokens):
        raise UsageError(f"The layer text is empty. Expected layers such as {EXAMPLE}.")
    parser = _Parser(text, tokens)
    layers = parser.items(depth=0)
    if parser.peek.text:
        raise fault(text, parser.peek.at, "expected a comma or the end, found ']' without its '['")
    return tuple(layers)


def fault(text: str, at: int, message: str) -> UsageError:
    """A UsageError that shows `message` and a caret under position `at` of `text`."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    before, after = text[start:at], text[at : end if end >= 0 else len(text)]
    left = before if len(before) <= 48 else "..." + before[-45:]
    right = after if len(after) <= 28 else after[:25] + "..."
    number = text.count("\n", 0, at) + 1
    where = f"line {number}, column {len(before) + 1}" if "\n" in text.strip() else f"position {len(before) + 1}"
    caret = " " * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in _printable(left)) + "^"
    return UsageError(f"Layer text, {where}: {message}.\n  {_printable(left)}{_printable(right)}\n  {caret}\nExample: {EXAMPLE}.")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def _quoted(text: str) -> str:
    shown = _printable(text)
    return "the end of the line" if text in ("", "\n") else f"'{shown if len(shown) <= 24 else shown[:21] + '...'}'"


class _Parser:
    """Recursive descent over the tokens; the only state is the position."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.at = 0

    @property
    def peek(self) -> _Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else _Token("", len(self.text.rstrip()))

    def take(self) -> _Token:
        token = self.peek
        self.at += 1
        return token

    def fault(self, token: _Token, message: str) -> UsageError:
        return fault(self.text, token.at, message)

    def items(self, depth: int) -> list[Layer]:
        """Layers up to a closing bracket or the end."""
        found: list[Layer] = []
        self._newlines()
        while self.peek.text not in ("", "]"):
            start = self.peek
            found += self._group(depth) if start.text == "[" else [self._layer()]
            if len(found) > MAX_LAYERS:
                raise self.fault(start, f"more than {MAX_LAYERS:,} layers")
            after = self.peek
            if after.text == "[":
                raise self.fault(after, "expected a comma before '['")
            if after.text not in (",", "\n", "]", ""):
                raise self.fault(after, f"expected a comma, found {_quoted(after.text)}")
            self._newlines()
            if self.peek.text == ",":
                self.take()
                self._newlines()
                if self.peek.text == ",":
                    raise self.fault(self.peek, "expected a layer, found a second comma")
        return found

    def _newlines(self) -> None:
        while self.peek.text == "\n":
            self.take()

    def _group(self, depth: int) -> list[Layer]:
        opening = self.take()
        if depth >= MAX_DEPTH:
            raise self.fault(opening, f"brackets are nested more than {MAX_DEPTH} deep")
        found = self.items(depth + 1)
        closing = self.take()
        if closing.text != "]":
            raise self.fault(opening, "this '[' is never closed, expected ']'")
        if not found:
            raise self.fault(opening, "these brackets are empty, expected layers inside")
        if self.peek.text != "*":
            return found
        self.take()
        times = self.take()
        if not re.fullmatch(r"[0-9]+", times.text):
            raise self.fault(times, f"expected a repeat count such as 4 after '*', found {_quoted(times.text)}")
        count = int(times.text) if len(times.text) < 10 else MAX_LAYERS + 1
        if count < 1:
            raise self.fault(times, "a repeat count must be 1 or more")
        if count * len(found) > MAX_LAYERS:
            raise self.fault(times, f"this repeat makes more than {MAX_LAYERS:,} layers")
        return found * count

    def _layer(self) -> Layer:
        word = self.take()
        name = ""
        if self.peek.text == ":":
            if not _NAME.fullmatch(word.text) or word.text == "input":
                raise self.fault(word, f"{_quoted(word.text)} cannot name a layer: expected letters, digits, '_', '-', '.', not 'input'")
            name = word.text
            self.take()
            word = self.take()
            if word.text == "[":
                raise self.fault(word, "a name belongs to one layer, not to brackets: expected a layer")
        known = WORDS.get(word.text.lower())
        if known is None:
            raise self.fault(word, _unknown(word.text))
        family, base = known
        return Layer(family, base, name, dict(self._options(family, word)), word.at)

    def _options(self, family: Family, word: _Token) -> Iterator[tuple[str, Option]]:
        seen: set[str] = set()
        while self.peek.text not in ("", ",", "\n", "[", "]", "*", ":"):
            token = self.take()
            key, option = self._option(family, word, token)
            if key in seen or (key in ("p", "same") and seen & {"p", "same"}):
                raise self.fault(token, f"{_quoted(token.text)}: {'padding' if key in ('p', 'same') else 'this option'} is given twice")
            seen.add(key)
            yield key, option
        if "k" in OPTIONS[family] and "k" not in seen and family != "linear":
            raise self.fault(word, f"{_quoted(word.text)} needs {_FIRST.get(family, _SHOWN['k'])}")

    def _option(self, family: Family, word: _Token, token: _Token) -> tuple[str, Option]:
        allowed, text = OPTIONS[family], token.text.lower()
        numbers = _NUMBERS.fullmatch(text)
        if numbers is not None and (numbers[1] or "k") in allowed:
            key = numbers[1] or "k"
            return key, Option(self._numbers(token, key, numbers[2], family), "", token.at)
        if text in ("same", "ceil") and text in allowed:
            return text, Option((), text, token.at)
        if "mode" in allowed and text in MODES:
            return "mode", Option((), MODES[text], token.at)
        if text in WORDS and text not in ("linear",):
            raise self.fault(token, f"expected a comma before the layer {_quoted(token.text)}")
        takes = ", ".join(_FIRST.get(family, _SHOWN[k]) if k == "k" else _SHOWN[k] for k in allowed)
        raise self.fault(token, f"{_quoted(word.text)} does not take {_quoted(token.text)}: expected {takes or 'no options'}")

    def _numbers(self, token: _Token, key: str, written: str, family: Family) -> tuple[float, ...]:
        parts = re.split("[x\u00d7]", written)
        if len(parts) > 3:
            raise self.fault(token, f"{_quoted(token.text)} names {len(parts)} axes: expected 1, 2 or 3")
        if family != "up" and "." in written:
            raise self.fault(token, f"{_quoted(token.text)} must be in whole numbers")
        values = tuple(float(p) if "." in p else int(p) if len(p) < 12 else 10**12 for p in parts)
        if family == "up" and min(values) < MIN_SCALE:
            raise self.fault(token, f"a scale of {written} is too small: expected {MIN_SCALE} or more")
        if key in _FROM_ONE and min(values) < 1 and family != "up":
            raise self.fault(token, f"a {'size' if family == 'linear' else _FROM_ONE[key]} of 0 is impossible: expected 1 or more")
        limit = 2**31 if family == "linear" else MAX_NUMBER
        if max(values) > limit:
            raise self.fault(token, f"{_quoted(token.text)} is too large: expected {limit:,} or less")
        return values


def _unknown(word: str) -> str:
    if word in ("", "\n", ",", "]", "*", ":"):
        return f"expected a layer, found {_quoted(word)}"
    near = difflib.get_close_matches(word.lower(), WORDS, n=3, cutoff=0.5)
    if not near:
        near = [w for w in WORDS if len(word) > 2 and word.lower().startswith(w)]
    if near:
        return f"no layer is called {_quoted(word)}, did you mean {' or '.join(near)}"
    return f"no layer is called {_quoted(word)}, expected conv, dwconv, pool, avgpool, deconv, up, gap, linear, relu or the like"
