"""The traffic that audit files tell of: who called what, and how access decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from meshpact.contracts.faults import WrongUse
from meshpact.interceptors.auditlayout import Trail, trail_of, trails_in

USED = frozenset({"allow", "would_deny"})


@dataclass(frozen=True)
class Use:
    """One workload, perhaps with an end user by their digest, at one method
    (`package.Service/Method`)."""

    workload: str
    user_hash: str
    method: str
    decision: str
    """allow or would_deny."""


@dataclass
class Traffic:
    """What was used, and how often; `refused` counts denials, `foreign` what is no audit line."""

    uses: Counter[Use] = field(default_factory=Counter[Use])
    refused: int = 0
    foreign: int = 0

    def __bool__(self) -> bool:
        return bool(self.uses)


class _Line(msgspec.Struct):
    event: str
    method: str = ""
    caller: str = ""
    user_hash: str = ""
    decision: str = ""
    time: str = ""


def trail_files(paths: Iterable[Path]) -> list[Path]:
    """The files of audit trails, each once: of a folder all trails in it, of the file that is
    written the full ones before it, too. WrongUse for a folder without trails."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            trails = trails_in(path)
            if not trails:
                raise WrongUse(f"{path} holds no audit trail: give files of .meshpact/audit")
            for trail in trails:
                found |= dict.fromkeys(_whole(trail))
        else:
            trail, number = trail_of(path)
            found |= dict.fromkeys([path] if number else [*_whole(trail), path])
    return list(found)


def _whole(trail: Trail) -> list[Path]:
    if not trail.folder.is_dir():
        return []
    full = [path for _, path in trail.full()]
    return [*full, trail.active] if trail.active.is_file() else full


def read_traffic(paths: Iterable[Path], since: str = "") -> Traffic:
    """Reads audit files, lines of `since` (RFC 3339 in UTC) and later only.

    WrongUse for a file that cannot be read or holds no audit lines at all.
    """
    traffic = Traffic()
    decode = msgspec.json.Decoder(_Line).decode
    for path in paths:
        known = 0
        try:
            with path.open("rb") as file:
                for line in file:
                    try:
                        found = decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError):
                        traffic.foreign += bool(line.strip())
                        continue
                    known += 1
                    if found.event != "call" or found.time < since:
                        continue
                    if found.decision in USED:
                        method = found.method.removeprefix("/")
                        use = Use(found.caller, found.user_hash, method, found.decision)
                        traffic.uses[use] += 1
                    elif found.decision == "deny":
                        traffic.refused += 1
        except OSError as error:
            raise WrongUse(f"{path} cannot be read: {error.strerror}") from None
        if not known and path.stat().st_size:
            raise WrongUse(f"{path} holds no audit lines: give files of .meshpact/audit")
    return traffic
