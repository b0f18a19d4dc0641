"""Whom a channel takes for its callee: one name, by the CA of that name's own trust domain."""

from __future__ import annotations

import pytest

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import SourceError
from meshpact.certs.identity import Identity
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import X509Svid
from meshpact.clients import CallError
from meshpact.testing.authority import Authority
from meshpact.testing.sources import PushedSource
from rotation.domain import until
from rotation.stage import Stage, refusal


class Partner:
    """A workload of another domain that our server knows, and that knows our server."""

    def __init__(self, stage: Stage) -> None:
        self.authority = Authority("partner.example")
        leaf = self.authority.issue("alice")
        self.svid = X509Svid.from_pem(leaf.chain_pem, leaf.key_pem)
        self.bundle = TrustBundle.from_pem("partner.example", self.authority.roots_pem)
        served = stage.server.current()
        self.bundles = {**served.bundles, "partner.example": self.bundle}
        stage.server.push(Identity(served.svid, self.bundles))


def test_another_service_of_the_mesh_is_not_taken_for_the_callee(stage: Stage) -> None:
    stage.server = stage.domain.source("other")
    stage.serve()
    with pytest.raises(CallError, match=r"spiffe://test\.example/other answers"):
        stage.caller().echo()


def test_a_server_of_a_federated_domain_is_believed_by_the_bundle_of_its_own_domain(
    stage: Stage,
) -> None:
    partner = Partner(stage)
    stage.serve()
    stage.source = PushedSource(Identity(partner.svid, partner.bundles))
    assert refusal(stage.caller()) == "ROLE_MISSING"
    posing = TrustBundle.from_pem("test.example", partner.authority.roots_pem)
    stage.source = PushedSource(Identity(partner.svid, {**partner.bundles, "test.example": posing}))
    with pytest.raises(CallError, match=r"no CA that this workload trusts for test\.example"):
        stage.caller().echo()


def test_a_federated_ca_cannot_pose_as_a_service_of_our_domain(stage: Stage) -> None:
    partner = Partner(stage)
    leaf = partner.authority.issue(
        uris=["spiffe://test.example/server"], dns=["server.test.example"]
    )
    forged = X509Svid.from_pem(leaf.chain_pem, leaf.key_pem)
    stage.server.push(Identity(forged, partner.bundles))
    stage.serve()
    stage.source = PushedSource(Identity(stage.source.current().svid, partner.bundles))
    with pytest.raises(CallError, match=r"no CA that this workload trusts for test\.example"):
        stage.caller().echo()


def test_a_callee_of_a_domain_that_is_not_trusted_is_refused_when_the_channel_is_made(
    stage: Stage,
) -> None:
    stage.callee = SpiffeId.parse("spiffe://partner.example/server")
    with pytest.raises(SourceError, match=r"partner\.example is not trusted here"):
        stage.caller()


def test_the_bundle_of_the_callees_domain_is_followed(stage: Stage) -> None:
    partner = Partner(stage)
    stage.serve()
    posing = TrustBundle.from_pem("test.example", partner.authority.roots_pem)
    wrong = {**partner.bundles, "test.example": posing}
    stage.source = PushedSource(Identity(partner.svid, wrong))
    caller = stage.caller()
    with pytest.raises(CallError):
        caller.echo()
    stage.source.push(Identity(partner.svid, partner.bundles))
    until(lambda: refusal(caller) == "ROLE_MISSING", "the right bundle is used")
