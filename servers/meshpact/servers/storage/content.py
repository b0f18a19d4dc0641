"""What a request asked for, in short: tells a repetition from a request_id used twice."""

from __future__ import annotations

import hashlib
import json


def digest(*parts: object) -> str:
    """SHA-256 over the JSON of `parts`, in hex; the order counts."""
    raw = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(raw.encode()).hexdigest()
