"""Why a call is let in or refused: each check of the guard in order, and the line that decided it.

The decision is the guard's own admission's, and so is each step: the compiled network lists, the
verifier of tokens and the conditions of access are those that a server runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meshpact.contracts.access.assumed import BEARER, Assumed, Decision, Proof
from meshpact.contracts.access.holders import Held, held_by_user, held_by_workload
from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.access.methods import AccessMethod
from meshpact.contracts.faults import Place
from meshpact.interceptors import network
from meshpact.interceptors.access import Condition, conditions
from meshpact.interceptors.call import Caller, EndUser
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.keys import KeysError
from meshpact.interceptors.policy import EndUserRule, MethodPolicy
from meshpact.interceptors.tokens import Stale, Tokens, compile_tokens
from meshpact.mesh import names
from meshpact.mesh.tree import Place as TreePlace

PASSED, REFUSED, OBSERVED, OPEN = "pass", "deny", "would_deny", "not judged"


@dataclass(frozen=True)
class Step:
    """One check. `outcome` is one of pass, deny, would_deny and "not judged"; `places` say where
    what decided it stands, the most telling first."""

    check: str
    outcome: str
    text: str
    places: tuple[Place, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Explanation:
    """All steps up to the one that refuses, and the decision."""

    method: str
    caller: str
    user: str
    decision: Decision
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Question:
    """Who calls, as the one asked about. `service` is the name in mesh.yaml of the service that
    answers, "" when nobody knows; no `proof.peer`: from anywhere."""

    workload: str
    proof: Proof
    service: str = ""


def explain(
    mesh: AccessMesh, method: AccessMethod, question: Question, tokens: Tokens
) -> Explanation:
    """Explains one call. `tokens` verifies what comes as a token."""
    asking = _Asking(mesh, method, question, tokens)
    steps: list[Step] = []
    for step in asking.steps():
        steps.append(step)
        if step.outcome == REFUSED:
            break
    if steps[-1].reason == "IDENTITY_INVALID":
        decision = Decision("deny", steps[-1].reason)  # there is no such identity to assume
    else:
        assumed = Assumed(method, mesh.bindings, reachable=asking.reachable, tokens=tokens)
        decision = assumed.judge(question.workload, question.proof)
    user = asking.user
    return Explanation(
        method.name,
        question.workload,
        f"{user.subject} at {user.issuer}" if user is not None else "",
        decision,
        tuple(steps),
    )


class _Asking:
    def __init__(
        self, mesh: AccessMesh, method: AccessMethod, question: Question, tokens: Tokens
    ) -> None:
        self._mesh = mesh
        self._method = method
        self._question = question
        self._tokens = tokens
        self.user: EndUser | None = None
        networks = mesh.networks
        self._lists = networks.placed(question.service, f"/{method.name}")
        self.reachable = (
            network.compile_networks([each for _, each in self._lists], networks.proxies)
            if question.proof.peer
            else None
        )

    def steps(self) -> Iterator[Step]:
        yield Step("method", PASSED, "the contract has the method", (self._place(""),))
        yield self._identity()
        yield from self._denials()
        yield from self._networks()
        yield from self._end_user()
        yield from self._access()
        yield from _later(self._method)

    def _identity(self) -> Step:
        access = self._method.policy.access
        workload = self._question.workload
        if access.unauthenticated:
            text = f"anyone may call: {access.unauthenticated}"
            return Step("identity", PASSED, text, (self._place("access.unauthenticated"),))
        if not workload:
            text = "the caller shows no identity, and the method demands one"
            return Step("identity", REFUSED, text, (self._place("access"),), "IDENTITY_MISSING")
        domain = workload.removeprefix("spiffe://").partition("/")[0]
        mesh = self._mesh.config
        if domain == mesh.trust_domain:
            name = self._mesh.name_of(workload)
            named = name in mesh.services
            where = self._mesh.place(("services", name) if named else ("trust_domain",))
            text = "of this mesh"
        elif domain in mesh.federation:
            where, text = self._mesh.place(("federation", domain)), "of a federated domain"
        else:
            where = self._mesh.place(("trust_domain",))
            text = (
                f"{domain} is neither this mesh's trust domain nor federated: no trust bundle here "
                "vouches for its identities"
            )
            return Step("identity", REFUSED, text, (where,), "IDENTITY_INVALID")
        return Step("identity", PASSED, f"{workload}, {text}, taken as proven", (where,))

    def _denials(self) -> Iterator[Step]:
        workload = self._question.workload
        if self._mesh.bindings.denied.refuses(workload, -1):
            for index, entry in enumerate(self._mesh.config.denied.workloads):
                if entry == workload or (
                    entry.endswith(names.ANY) and workload.startswith(entry[:-1])
                ):
                    place = self._mesh.place(("denied", "workloads", index))
                    text = f"mesh.yaml denies {entry}"
                    yield Step("identity", REFUSED, text, (place,), "IDENTITY_DENIED")

    def _networks(self) -> Iterator[Step]:
        mesh, question = self._mesh, self._question
        if not question.service and mesh.config.networks.services:
            text = "which service answers is not known: its own list of networks is left out"
            yield Step("network", OPEN, text, (mesh.place(("networks", "services")),))
        places = [mesh.place(place) for place, _ in self._lists]
        if not self._lists:
            yield Step("network", PASSED, "no list of networks stands on the method")
        elif self.reachable is None:
            text = "calls from some networks only, and no address was given"
            yield Step("network", OPEN, text, tuple(places))
        else:
            refused = self.reachable(question.proof.peer, question.proof.metadata)
            if refused is None:
                text = "the caller's address is inside every list"
                yield Step("network", PASSED, text, tuple(places))
            else:
                outside = [mesh.place(place) for place, each in self._lists if refused not in each]
                text = f"{refused} is outside"
                yield Step("network", REFUSED, text, tuple(outside), "NETWORK_DENIED")

    def _end_user(self) -> Iterator[Step]:
        access = self._method.policy.access
        verify = compile_tokens(access, self._tokens)
        place = (self._place("access.end_user"),)
        if verify is None:
            if self._question.proof.token:
                yield Step("token", PASSED, "the method does not look at tokens", place)
            return
        header = f"{BEARER}{self._question.proof.token}" if self._question.proof.token else None
        caller = Caller(self._question.workload)
        certificate = self._question.proof.certificate
        try:
            try:
                found, _, _ = verify(caller, header, "", certificate, False)
            except Stale as stale:
                with contextlib.suppress(KeysError):
                    stale.source.refresh()
                found, _, _ = verify(caller, header, "", certificate, True)
        except StatusError as refusal:
            yield Step("token", REFUSED, refusal.message, place, refusal.reason)
            return
        self.user = found.user
        if found.user is None:
            assert access.end_user is EndUserRule.OPTIONAL
            yield Step("token", PASSED, "no end user stands behind the call; none has to", place)
        else:
            text = f"{found.user.subject}, by a token of {found.user.issuer}"
            yield Step("token", PASSED, text, (*place, self._issuer(found.user.issuer)))

    def _access(self) -> Iterator[Step]:
        bindings = self._mesh.bindings
        for condition in conditions(self._method.policy.access):
            place = self._place(f"access.{condition.name}")
            if condition.holds(bindings, self._question.workload, self.user):
                giving = [held for held in self._held(condition) if held.granted & condition.wanted]
                places = (*(held.place for held in giving), place)
                yield Step("access", PASSED, _held_text(condition, giving), places)
                continue
            reason = condition.refusal(self.user).reason
            text = self._missing_text(condition)
            observing = list(self._observing(condition))
            outcome = OBSERVED if observing else REFUSED
            if observing:
                text += "; only observed"
            yield Step("access", outcome, text, (*observing, place), reason)

    def _held(self, condition: Condition) -> list[Held]:
        """The bindings that may meet a condition."""
        found: list[Held] = []
        if condition.name in ("roles", "workload_roles"):
            found += held_by_workload(self._mesh, self._question.workload)
        if condition.name in ("roles", "user_roles") and self.user is not None:
            found += held_by_user(self._mesh, self.user)
        return found

    def _missing_text(self, condition: Condition) -> str:
        wanted = ", ".join(sorted(condition.wanted))
        if condition.name == "scopes":
            given = self.user.scopes if self.user is not None else frozenset[str]()
            return f"the token lacks the scope {' '.join(sorted(condition.wanted - given))}"
        whose = {
            "roles": "the caller holds none of the roles",
            "workload_roles": "the workload itself holds none of the roles",
            "user_roles": "the end user holds none of the roles",
        }[condition.name]
        roles = sorted({role for held in self._held(condition) for role in held.granted})
        return f"{whose} {wanted} (it holds {', '.join(roles) or 'none'})"

    def _observing(self, condition: Condition) -> Iterator[Place]:
        """Where it stands that a condition is only observed."""
        bindings, mesh = self._mesh.bindings, self._mesh
        if condition.observed(bindings):
            for role in sorted(condition.wanted & bindings.observed):
                yield mesh.place(("roles", role, "mode"))
        elif bindings.observes(self._method.name):
            for name in (self._method.name, self._method.service + names.ANY):
                if name in mesh.config.methods:
                    place: TreePlace = ("methods", name, "mode")
                    yield mesh.place(place)
                    return

    def _issuer(self, name: str) -> Place:
        found = [issuer.issuer for issuer in self._mesh.config.issuers]
        return self._mesh.place(("issuers", found.index(name)) if name in found else ("issuers",))

    def _place(self, part: str) -> Place:
        return self._method.place(part)


def _held_text(condition: Condition, giving: Sequence[Held]) -> str:
    if condition.name == "scopes":
        return f"the token has the scope {' '.join(sorted(condition.wanted))}"
    first = giving[0]
    role = next(iter(sorted(first.granted & condition.wanted)))
    through = "" if role == first.role else f", which {first.role} includes"
    return f"{first.holder} holds {role}{through}"


def _later(method: AccessMethod) -> Iterator[Step]:
    """What hangs on the calls themselves."""
    policy: MethodPolicy = method.policy
    if policy.rate is not None:
        rate = policy.rate
        text = f"{rate.requests} calls in {rate.per:g} s by {rate.by.value}, {rate.burst} at once"
        yield Step("rate", OPEN, text, (method.place("rate"),))
    if policy.concurrency is not None:
        text = f"{policy.concurrency} calls at once"
        yield Step("concurrency", OPEN, text, (method.place("concurrency"),))
