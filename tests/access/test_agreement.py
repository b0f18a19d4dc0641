"""What `access explain` says of a call is what a live server does, over the oracle's calls."""

from __future__ import annotations

from collections import Counter

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from meshpact.contracts.access.assumed import Proof
from meshpact.contracts.access.explain import OBSERVED, REFUSED, Explanation, Question, explain
from meshpact.contracts.access.mesh import AccessMesh, read_mesh
from meshpact.contracts.access.sources import image_of
from meshpact.interceptors.issuers import tokens_for
from meshpact.testing.rawanswer import Answer
from oracle.callers import Cast
from oracle.comparison import Call, Plan, compare

TRIPLES = 300
JUDGED = {
    "IDENTITY_MISSING",
    "NETWORK_DENIED",
    "TOKEN_MISSING",
    "TOKEN_INVALID",
    "TOKEN_EXPIRED",
    "ROLE_MISSING",
    "SCOPE_MISSING",
}
"""What is refused before anything that hangs on the call's own bytes and on other calls."""


class Judge:
    """Explains each call that a server answered, and compares."""

    def __init__(self) -> None:
        self.disagreements: list[str] = []
        self.decisions: Counter[str] = Counter()
        self._meshes: dict[str, AccessMesh] = {}

    def answered(self, cast: Cast, plan: Plan, call: Call, answer: Answer) -> None:
        # Certificates that are bad in themselves are not to be assumed.
        if call.workload.certificate not in ("good", "none") or not call.facts.path_known:
            return
        header = call.bearer.header
        if call.facts.authorization_twice or (header and not header.startswith("Bearer ")):
            return
        explanation = self._explained(cast, plan, call)
        decision = explanation.decision
        self.decisions[decision.reason or decision.decision] += 1
        refused = [step for step in explanation.steps if step.outcome == REFUSED]
        observed = [step for step in explanation.steps if step.outcome == OBSERVED]
        expected = answer.reason if answer.reason in JUDGED else ""
        by_steps = refused[0].reason if refused else ""
        found = decision.reason if decision.decision == "deny" else ""
        if not expected == by_steps == found:
            self._disagree(answer, explanation)
        if (decision.decision == "would_deny") != (bool(observed) and not refused):
            self._disagree(answer, explanation)

    def _explained(self, cast: Cast, plan: Plan, call: Call) -> Explanation:
        mesh = self._mesh(cast, plan)
        proof = Proof(call.bearer.header.removeprefix("Bearer "), "ipv4:127.0.0.1:1")
        question = Question(call.workload.id, proof)
        method = mesh.methods[plan.contract.spec.path[1:]]
        return explain(mesh, method, question, tokens_for(cast.config, ""))

    def _mesh(self, cast: Cast, plan: Plan) -> AccessMesh:
        file = plan.contract.spec.descriptor.containing_service.file
        if file.name not in self._meshes:
            proto = FileDescriptorProto.FromString(file.serialized_pb)
            self._meshes[file.name] = read_mesh(cast.mesh_file, image_of([proto]), {})
        return self._meshes[file.name]

    def _disagree(self, answer: Answer, explanation: Explanation) -> None:
        self.disagreements.append(f"{answer}\n  {explanation}")


@pytest.mark.parametrize("seed", [20111105])
def test_explain_says_what_a_live_server_does(seed: int) -> None:
    judge = Judge()
    report = compare(TRIPLES, seed, judge.answered)
    assert report.triples >= TRIPLES
    assert not report.disagreements
    assert not judge.disagreements, "\n".join(judge.disagreements[:5])
    assert JUDGED | {"allow"} <= set(judge.decisions), judge.decisions
