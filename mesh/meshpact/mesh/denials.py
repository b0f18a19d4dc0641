"""Identities that are refused at once: `denied` of mesh.yaml, compiled for lookup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from meshpact.mesh import names
from meshpact.mesh.accessrules import check_workload
from meshpact.mesh.model import Denied, Service
from meshpact.mesh.problems import shown
from meshpact.mesh.tree import Place, Tree

SERIALS: Final = "a serial number in hexadecimal, as meshpact certs show prints it"
_SERIAL: Final = re.compile(r"[0-9a-fA-F]{1,40}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){0,19}")


class Denials:
    """Which identities are refused, whatever roles they hold. Immutable."""

    __slots__ = ("_prefixes", "_serials", "_workloads", "some")

    def __init__(self, workloads: Iterable[str] = (), serials: Iterable[int] = ()) -> None:
        given = frozenset(workloads)
        self._prefixes = tuple(
            sorted(each.removesuffix("*") for each in given if each.endswith(names.ANY))
        )
        self._workloads = frozenset(each for each in given if not each.endswith(names.ANY))
        self._serials = frozenset(serials)
        self.some = bool(given or self._serials)
        """Whether anybody is refused."""

    @classmethod
    def compile(cls, denied: Denied) -> Denials:
        """Those of a mesh that was loaded."""
        return cls(denied.workloads, (_number(serial) for serial in denied.serials))

    def refuses(self, spiffe_id: str, serial: int) -> bool:
        """Whether a workload is refused, by its whole SPIFFE ID or its certificate's serial.

        Nobody ("") is not: a caller without an identity is for other checks.
        """
        return bool(spiffe_id) and (
            spiffe_id in self._workloads
            or serial in self._serials
            or spiffe_id.startswith(self._prefixes)
        )

    def __repr__(self) -> str:
        return f"Denials({len(self._workloads) + len(self._prefixes) + len(self._serials)})"


NONE: Final = Denials()
"""Nobody is refused."""


def check_denied(denied: Denied, services: Mapping[str, Service], tree: Tree) -> Denied:
    """The same with names of services resolved; faults go to the tree."""
    place: Place = ("denied",)
    workloads = [
        workload
        for index, text in enumerate(denied.workloads)
        if (workload := check_workload(text, (*place, "workloads", index), services, tree))
    ]
    for index, serial in enumerate(denied.serials):
        if not _SERIAL.fullmatch(serial):
            tree.add((*place, "serials", index), f"found {shown(serial)}", SERIALS)
    return msgspec.structs.replace(denied, workloads=tuple(workloads))


def _number(serial: str) -> int:
    return int(serial.replace(":", ""), 16)
