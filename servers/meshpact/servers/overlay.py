"""Policies of contracts one does not own: those that every server brings along, and overrides.

Health is open, because probes and load balancers ask before they have an identity; reflection
shows the whole contract and is for the role `mesh.reflect`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from meshpact.interceptors.policy import merge
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.policy.v1 import policy_pb2 as pb

Overlay = Mapping[str, pb.Policy]
"""Policies by `package.Service/Method`, as `meshpact.mesh.overlay` reads them."""

HEALTH: Final = "grpc.health.v1.Health"
REFLECTION: Final = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
REFLECTION_ROLE: Final = "mesh.reflect"


def _health(seconds: int) -> pb.Policy:
    return pb.Policy(
        access=pb.Access(
            unauthenticated=pb.Unauthenticated(
                reason="Probes and load balancers ask before they have an identity."
            )
        ),
        deadline=pb.Deadline(default=Duration(seconds=seconds)),
        audit=pb.Audit(level=pb.AUDIT_LEVEL_NONE),
    )


def _reflection() -> pb.Policy:
    return pb.Policy(
        access=pb.Access(roles=[REFLECTION_ROLE]),
        deadline=pb.Deadline(default=Duration(seconds=30), max=Duration(seconds=300)),
        audit=pb.Audit(level=pb.AUDIT_LEVEL_DENIALS),
    )


BUILT_IN: Final[Overlay] = {
    f"{HEALTH}/Check": _health(5),
    f"{HEALTH}/List": _health(5),
    f"{HEALTH}/Watch": _health(3600),
    **{f"{service}/ServerReflectionInfo": _reflection() for service in REFLECTION},
}


def overlaid(spec: ServiceSpec, overlay: Overlay) -> ServiceSpec:
    """The service with the policies that the overlay has for its methods; each part replaces."""
    if not any(f"{spec.name}/{method.name}" in overlay for method in spec.methods):
        return spec
    return replace(spec, methods=tuple(_overlaid(method, overlay) for method in spec.methods))


def _overlaid(method: MethodSpec[Any, Any], overlay: Overlay) -> MethodSpec[Any, Any]:
    policy = overlay.get(method.path.removeprefix("/"))
    if policy is None:
        return method
    below = method.overlay if method.overlay is not None else pb.Policy()
    return replace(method, overlay=merge(below, policy)[0])
