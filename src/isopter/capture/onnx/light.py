"""A file without the bytes of its large tensors: where they are is noted in their place, as for tensors in a file beside.

Most of a file is numbers that no analysis asks for, and parsing copies all of them. The wire format of protocol buffers (a tag, then a
number or a length and that many bytes) is simple enough to step over them: `ModelProto.graph.initializer[i].raw_data`, fields 7, 5, 9.
All else is passed on as it stands. Where anything is unusual nothing is stepped over, and what is wrong is for the parser to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from onnx import TensorProto

SMALL = 4096
"""Bytes of a tensor that are not worth a look later: shapes, indices and scales."""

WHOLE = 2**20
"""Bytes of a file that is parsed as it is."""

HERE = "isopter: bytes of the model's own file"
"""Key in a tensor's external data that says that its bytes were stepped over. A file that says so itself tells of its own bytes."""

_GRAPH, _INITIALIZER, _RAW, _OTHERS = 7, 5, 9, (13, 14)

Field = tuple[int, int, int, int, int]
"""Number and wire type, and the offsets in the file of its start, of its payload, and of its end."""


class _Unusual(Exception):
    """Bytes that are no message, or one that exporters do not write."""


def light_bytes(path: Path, size: int) -> bytes:
    """The bytes of a model file of `size` bytes, without those of its large initialisers."""
    with path.open("rb") as file:
        if size > WHOLE:
            try:
                return b"".join(_model(file, size))
            except _Unusual:
                file.seek(0)
        return file.read()


def _model(file: BinaryIO, size: int) -> Iterator[bytes]:
    for number, kind, start, body, end in _fields(file, 0, size):
        if (number, kind) == (_GRAPH, 2):
            yield from _message(_GRAPH, list(_graph(file, body, end)))
        else:
            yield _bytes(file, start, end)


def _graph(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    kept = start
    for number, kind, at, body, after in _fields(file, start, end):
        if (number, kind) == (_INITIALIZER, 2) and after - body > SMALL and (parts := _tensor(file, body, after)):
            yield _bytes(file, kept, at)
            yield from _message(_INITIALIZER, parts)
            kept = after
    yield _bytes(file, kept, end)


def _tensor(file: BinaryIO, start: int, end: int) -> list[bytes]:
    """A tensor with a note in place of its bytes; none if they are few, in another field, or elsewhere already."""
    parts: list[bytes] = []
    found: tuple[int, int] | None = None
    for number, kind, at, body, after in _fields(file, start, end):
        if number in _OTHERS or (number == _RAW and (found or kind != 2)):
            return []
        if number == _RAW:
            found = body, after - body
        elif after - at > SMALL:
            return []
        else:
            parts.append(_bytes(file, at, after))
    if found is None or found[1] <= SMALL:
        return []
    note = TensorProto(data_location=TensorProto.EXTERNAL)
    note.external_data.add(key=HERE, value="")
    note.external_data.add(key="offset", value=str(found[0]))
    note.external_data.add(key="length", value=str(found[1]))
    return [*parts, note.SerializeToString()]


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[Field]:
    """Each field between two offsets. Nobody keeps the file's place: whoever reads on seeks."""
    at = start
    while at < end:
        file.seek(at)
        tag, body = _varint(file, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            after = _varint(file, body)[1]
        elif kind == 2:
            length, body = _varint(file, body)
            after = body + length
        elif kind in (1, 5):
            after = body + (8 if kind == 1 else 4)
        else:
            raise _Unusual
        if not number or after > end:
            raise _Unusual
        yield number, kind, at, body, after
        at = after


def _varint(file: BinaryIO, at: int) -> tuple[int, int]:
    """The number at the file's place, which is `at`, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _Unusual
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value, at + shift // 7 + 1
    raise _Unusual


def _bytes(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _message(number: int, parts: list[bytes]) -> Iterator[bytes]:
    """A field that is a message, of these parts."""
    yield bytes([number << 3 | 2]) + _as_varint(sum(map(len, parts)))
    yield from parts


def _as_varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
