"""Overlays: policies for contracts that one does not own."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshpact.mesh.overlay import load
from meshpact.mesh.problems import MeshFileError
from meshpact.policy.v1 import policy_pb2 as pb

HEALTH = """\
grpc.health.v1.Health/*:
  access: {unauthenticated: {reason: probes have no identity}}
  deadline: {default: 1s, max: 5.5s}
  audit: {level: AUDIT_LEVEL_NONE}
grpc.health.v1.Health/Watch:
  access:
    roles: [mesh.observer]
  deadline: {default: 3600s}
  audit: {level: AUDIT_LEVEL_ALL}
  rate: {requests: 10, per: 1s, unlimited: false}
  messageSize: {requestBytes: 100, response_bytes: 200}
"""


def overlay(path: Path, text: str) -> Path:
    file = path / "overlay.yaml"
    file.write_text(text)
    return file


def test_policies_are_read_in_protojson(tmp_path: Path) -> None:
    policies = load(overlay(tmp_path, HEALTH))
    watch = policies["/grpc.health.v1.Health/Watch"]
    assert list(watch.access.roles) == ["mesh.observer"]
    assert watch.deadline.default.seconds == 3600
    assert (watch.rate.requests, watch.rate.per.seconds) == (10, 1)
    assert (watch.message_size.request_bytes, watch.message_size.response_bytes) == (100, 200)
    assert watch.audit.level == pb.AUDIT_LEVEL_ALL


def test_a_method_of_its_own_comes_before_its_service(tmp_path: Path) -> None:
    policies = load(overlay(tmp_path, HEALTH))
    check = policies["/grpc.health.v1.Health/Check"]
    assert check.access.unauthenticated.reason == "probes have no identity"
    assert check.deadline.max.nanos == 500_000_000
    assert policies["grpc.health.v1.Health/Check"] is check, "with the slash or without"
    assert not policies["/grpc.health.v1.Health/Watch"].access.HasField("unauthenticated")
    assert "/grpc.health.v1.Other/Check" not in policies
    assert policies.get("/grpc.health.v1.Healthy/Check") is None
    assert set(policies) == {"/grpc.health.v1.Health/*", "/grpc.health.v1.Health/Watch"}
    assert len(policies) == 2


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1: found no methods"),
        ("- a\n", "1: found no methods"),
        ("Health: {}\n", "1: Health: found 'Health'; allowed: package.Service/Method"),
        ("a.B/C:\n", "1: a.B/C: found no policy"),
        ("a.B/C: x\n", "1: a.B/C: found no policy"),
        ("a.B/C:\n  acess: {}\n", "2: a.B/C.acess: "),
        ("a.B/C:\n  audit: {}\n  access: {rolls: [a]}\n", "3: a.B/C.access: "),
        ("a.B/C:\n  audit: {level: ALL}\n", "2: a.B/C.audit: "),
        ("a.B/C:\n  deadline: {default: 1}\n", "2: a.B/C.deadline: "),
        ("a.B/C:\n  rate: {requests: -1}\n", "2: a.B/C.rate: "),
        ("a.B/C: {}\na.B/C: {}\n", "2: a.B/C: the key stands here and in line 1"),
    ],
)
def test_a_fault_is_named_with_its_line_and_part(tmp_path: Path, text: str, fault: str) -> None:
    file = overlay(tmp_path, text)
    with pytest.raises(MeshFileError) as refusal:
        load(file)
    assert str(refusal.value).startswith(f"{file}:{fault}"), str(refusal.value)


def test_all_faulty_methods_are_listed(tmp_path: Path) -> None:
    file = overlay(tmp_path, "a.B/C: {acess: {}}\na.B/D: {audt: {}}\n")
    with pytest.raises(MeshFileError) as refusal:
        load(file)
    assert [problem.line for problem in refusal.value.problems] == [1, 2]
