"""What a report's file holds, read as its page reads it."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any


def unpack(html: str) -> tuple[dict[str, Any], bytes]:
    """The JSON in a page, and the bytes of levels after it."""
    (packed,) = re.findall(r'<script type="application/octet-stream" id="data">([A-Za-z0-9+/=]*)</script>', html)
    raw = zlib.decompress(base64.b64decode(packed, validate=True))
    length = int.from_bytes(raw[:4], "little")
    return json.loads(raw[4 : 4 + length]), raw[4 + length :]
