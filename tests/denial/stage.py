"""A server of either kind on which everybody may call and everything is audited."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any, Final

from cryptography import x509

from guard.scripted import WAIT, Script, message, path, servicer
from guard.situations import ALL_SHAPES, ROLE
from guard.watching import Watching
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawanswer import Answer
from meshpact.testing.rawwire import RawConnection

REFUSED: Final = ("PERMISSION_DENIED", "IDENTITY_DENIED", "meshpact")


class Stage:
    """The server, and who calls it: "caller" and "other"."""

    def __init__(self, bench: Workbench, kind: Kind) -> None:
        self.bench, self.kind, self.port = bench, kind, 0
        self.script = Script()
        self.watching = Watching()

    def connect(self, service: str = "caller") -> RawConnection:
        """A raw connection as a workload."""
        return self.bench.connect(self.port, service)

    def call_until_it_waits(self, wire: RawConnection, shape: str, *headers: Any) -> int:
        """A call whose handler stands still; its stream."""
        self.script.entered.clear()
        stream = wire.open(path(shape), headers)
        wire.send(stream, message(shape, WAIT), end=shape not in ("client", "bidi"))
        assert self.script.entered.wait(30)
        return stream

    def serial(self, service: str) -> int:
        """The serial number of a workload's certificate."""
        return x509.load_pem_x509_certificate(self.bench.client(service).chain_pem).serial_number


@contextlib.contextmanager
def staged(
    kind: Kind, policy: pb.Policy | None = None, *, bindings: Any = None, **options: Any
) -> Generator[Stage]:
    """Serves while the context lasts; `policy` replaces parts of each method's, `options` are the
    guard's."""
    with Workbench() as bench:
        stage = Stage(bench, kind)
        bench.roles.set({bench.id_of(name): [ROLE] for name in ("caller", "other")})
        found = policy or pb.Policy()
        if not found.HasField("audit"):
            found.audit.level = pb.AUDIT_LEVEL_ALL
        if bindings is not None:
            options["bindings"] = bindings
        with bench.serving(
            kind,
            lambda: [servicer(kind, stage.script)],
            guard=bench.guard(**(stage.watching.options | options)),
            overlay={path(shape)[1:]: found for shape in ALL_SHAPES},
        ) as stage.port:
            try:
                yield stage
            finally:
                stage.script.go.set()


def refusal(answer: Answer) -> tuple[str, str, str]:
    """Code, reason and domain of an answer."""
    return answer.code.name if answer.code else "", answer.reason, answer.domain
