"""A fault on disk with its remedy, and the faults that any key or directory can have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `rule` is a short stable name; `remedy` is what to do, in words or a command."""

    rule: str
    where: str
    """The file or directory."""
    fault: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """The fault for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.where}: {self.fault} ({self.rule})\n  remedy: {self.remedy}"


def key_faults(path: Path, *, mounted: bool = False) -> Iterator[Fault]:
    """Whether others than its owner can read a key. A file that is missing has no faults.

    A key on a `mounted` volume of Kubernetes may be readable by the pod's group (fsGroup).
    """
    mode = _mode(path)
    if mounted and mode & 0o007:
        yield Fault(
            "permissions",
            str(path),
            f"every process in the pod can read the key (mode {mode:04o})",
            "set fsGroup in the pod's securityContext, and have the key issued anew",
        )
    elif not mounted and mode & 0o077:
        yield Fault(
            "permissions",
            str(path),
            f"others than its owner can read or write the key (mode {mode:04o})",
            f"chmod 600 {path}, and issue it anew if anyone could have read it",
        )


def directory_faults(path: Path) -> Iterator[Fault]:
    """Whether others than its owner can enter a directory of keys."""
    mode = _mode(path)
    if mode & 0o077:
        yield Fault(
            "permissions",
            str(path),
            f"others than its owner can enter the directory (mode {mode:04o})",
            f"chmod 700 {path}",
        )


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return 0
