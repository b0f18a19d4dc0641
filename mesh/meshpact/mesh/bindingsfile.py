"""The bindings_file: JSON Lines of role bindings, for more of them than mesh.yaml bears.

A line is one binding: `{"role": "...", "workload": "spiffe://..."}`, or with `user` or `group`
instead of `workload`, and then with `issuer` where mesh.yaml has several. Names of services stand
in mesh.yaml only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from meshpact.certs.spiffe import SpiffeError
from meshpact.mesh import names
from meshpact.mesh.model import MeshConfig, Subject
from meshpact.mesh.problems import MeshFileError, Problem, shown
from meshpact.mesh.reader import closest
from meshpact.mesh.subjects import SubjectError, resolved

SLICE: Final = 50
"""Lines read in one step, some 200 us of work."""

MAX_LINE: Final = 8192
"""Bytes of one line."""

MAX_PROBLEMS: Final = 20
"""Faults that are listed before reading is given up."""

_BUFFER: Final = 65536


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One line: a role, and one of workload, user and group."""

    role: str
    workload: str = ""
    user: str = ""
    group: str = ""
    issuer: str = ""


def lines_of(
    path: Path, config: MeshConfig, add: Callable[[Binding], None]
) -> Generator[None, None, None]:
    """Reads a file in steps: each binding goes to `add`, its issuer filled in; a `yield` a step.

    MeshFileError lists what is wrong, with the lines.
    """
    check = _Check(config)
    problems: list[Problem] = []
    number = 0
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            while len(problems) < MAX_PROBLEMS and (line := file.readline(MAX_LINE + 1)):
                number += 1
                if len(line) > MAX_LINE:
                    problems.append(_problem(path, number, f"a line of over {MAX_LINE} bytes", ""))
                    break
                if not line.isspace():
                    try:
                        add(check(line))
                    except _LineError as error:
                        problems.append(_problem(path, number, error.found, error.remedy))
                if number % SLICE == 0:
                    yield
    except OSError as error:
        found = f"cannot be read: {error.strerror or type(error).__name__}"
        problems.append(Problem(path, 0, "", found, "", "Check bindings_file in mesh.yaml"))
    if problems:
        raise MeshFileError(problems)


class _LineError(Exception):
    def __init__(self, found: str, remedy: str = "") -> None:
        self.found = found
        self.remedy = remedy
        super().__init__(found)


class _Check:
    """A line as a binding; _LineError says what is wrong with it."""

    def __init__(self, config: MeshConfig) -> None:
        self._roles = config.roles
        self._issuers: Sequence[str] = [issuer.issuer for issuer in config.issuers]
        self._only = self._issuers[0] if len(self._issuers) == 1 else ""

    def __call__(self, line: bytes) -> Binding:
        try:
            binding = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            found = f"found {shown(line.decode(errors='replace').strip())}: {error}"
            raise _LineError(found) from None
        if binding.role not in self._roles:
            remedy = closest(binding.role, self._roles, f"Add it to mesh.yaml: {binding.role}")
            raise _LineError(f"unknown role {shown(binding.role)}", remedy)
        if bool(binding.workload) + bool(binding.user) + bool(binding.group) != 1:
            raise _LineError("found not exactly one of workload, user and group")
        if not binding.workload:
            return self._of_subject(binding)
        if binding.issuer:
            raise _LineError("found an issuer beside a workload", "Take the issuer out")
        try:
            names.check_workload(binding.workload)
        except SpiffeError as error:
            raise _LineError(str(error)) from None
        return binding

    def _of_subject(self, binding: Binding) -> Binding:
        name = binding.user or binding.group
        if binding.issuer and binding.issuer == self._only and not name.endswith("*"):
            return binding
        entry = Subject(issuer=binding.issuer, name=name) if binding.issuer else name
        try:
            subject = resolved(entry, self._issuers)
        except SubjectError as error:
            raise _LineError(error.found, error.remedy) from None
        return msgspec.structs.replace(binding, issuer=subject.issuer)


_decode: Final = msgspec.json.Decoder(Binding).decode


def _problem(path: Path, number: int, found: str, remedy: str) -> Problem:
    return Problem(
        path,
        number,
        "",
        found,
        f'{{"role": a role of mesh.yaml, "workload": {names.WORKLOADS}}}, or "user" or "group" '
        'instead of "workload", with "issuer" where mesh.yaml has several',
        remedy,
    )
