"""Every method of streaming, identity, marketing and support refuses whom and what its contract
says: by role, user, scope, time, rate and field.

Methods and rules are read from the contracts, so that a new one cannot be left out.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from acme.identity.v1 import identity_pb2
from acme.identity.v1.identity_mesh import (
    INTROSPECTION_SERVICE,
    PROFILE_SERVICE,
    SESSION_SERVICE,
    IntrospectionServiceClient,
    ProfileServiceClient,
    SessionServiceClient,
)
from acme.marketing.sales.v1 import sales_pb2
from acme.marketing.sales.v1.sales_mesh import SALES_SERVICE, SalesServiceClient
from acme.retail.orders.v1.orders_mesh import OrderServiceBase
from acme.streaming.catalog.v1 import catalog_pb2
from acme.streaming.catalog.v1.catalog_mesh import (
    CATALOG_SERVICE,
    CatalogServiceBase,
    CatalogServiceClient,
)
from acme.streaming.recommendations.v1 import recommendations_pb2
from acme.streaming.recommendations.v1.recommendations_mesh import (
    RECOMMENDATION_SERVICE,
    RecommendationServiceBase,
    RecommendationServiceClient,
)
from acme.support.billing.v1 import billing_pb2
from acme.support.billing.v1.billing_mesh import BILLING_SERVICE, BillingServiceClient
from company import FACTORY, FACTORY_HERE
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from meshpact.interceptors.policy import EndUserRule
from meshpact.interceptors.spec import MethodSpec
from meshpact.servers.codegen import Call
from meshpact.testing.mesh import LocalMesh
from meshpact.testing.standin import stand_in
from reference.money import money
from refusedmethods import wrongs
from streamingmesh import event, opening
from systemmesh import origins, system_mesh

pytestmark = pytest.mark.asyncio(loop_scope="module")

Method = MethodSpec[Any, Any]
CLIENTS: Final[dict[str, Any]] = {
    PROFILE_SERVICE.name: ProfileServiceClient,
    SESSION_SERVICE.name: SessionServiceClient,
    INTROSPECTION_SERVICE.name: IntrospectionServiceClient,
    CATALOG_SERVICE.name: CatalogServiceClient,
    RECOMMENDATION_SERVICE.name: RecommendationServiceClient,
    SALES_SERVICE.name: SalesServiceClient,
    BILLING_SERVICE.name: BillingServiceClient,
}
METHODS: Final[dict[str, Method]] = {
    f"{spec.name.rpartition('.')[2]}.{method.name}": method
    for spec in (
        PROFILE_SERVICE,
        SESSION_SERVICE,
        INTROSPECTION_SERVICE,
        CATALOG_SERVICE,
        RECOMMENDATION_SERVICE,
        SALES_SERVICE,
        BILLING_SERVICE,
    )
    for method in spec.methods
}
MAY: Final = {
    "identity.caller": "streaming-web",
    "identity.checker": "catalog",
    "identity.introspector": "auditor",
    "catalog.reader": "streaming-web",
    "catalog.exporter": "recommendations",
    "recommendations.user": "streaming-web",
    "sales.reader": "dashboard-web",
    "billing.desk": "support-web",
}
"""Who holds the roles of workloads."""
GROUPS: Final = {
    "sales.analyst": "analyst",
    "billing.agent": "agent",
    "billing.supervisor": "supervisor",
}
"""The groups that hold the roles of users."""
AUDIENCES: Final = {"sales": "marketing.acme.example", "billing": "support.acme.example"}
STREAMING: Final = "streaming.acme.example"
ELSEWHERE: Final = "elsewhere.acme.example"
NAME: Final = str(uuid.UUID(int=7, version=4))
PROFILE: Final = identity_pb2.Profile(
    profile_id=NAME, display_name="Ann", maturity_limit=identity_pb2.MATURITY_LIMIT_TEENS
)
FILTER: Final = catalog_pb2.TitleFilter(
    types=[catalog_pb2.TITLE_TYPE_MOVIE],
    genres=["Dramas"],
    ratings=["PG"],
    decades=[2010],
    countries=["India"],
)
GOOD: Final[tuple[Message, ...]] = (
    identity_pb2.GetProfileRequest(profile_id=NAME),
    identity_pb2.CheckProfilesRequest(
        checks=[identity_pb2.ProfileCheck(profile_id=NAME, access_token="x.y.z")]
    ),
    identity_pb2.ListProfilesRequest(),
    identity_pb2.CreateProfileRequest(request_id=NAME, profile=PROFILE),
    identity_pb2.UpdateProfileRequest(request_id=NAME, profile=PROFILE),
    identity_pb2.DeleteProfileRequest(request_id=NAME, profile_id=NAME),
    identity_pb2.ListSessionsRequest(),
    identity_pb2.RevokeSessionRequest(request_id=NAME, session_id=NAME),
    identity_pb2.IntrospectTokenRequest(token="x.y.z"),
    catalog_pb2.SearchTitlesRequest(profile_id=NAME, filter=FILTER),
    catalog_pb2.GetFacetsRequest(profile_id=NAME, filter=FILTER),
    catalog_pb2.GetTitleRequest(profile_id=NAME, title_id="s1"),
    catalog_pb2.BatchGetTitlesRequest(profile_id=NAME, title_ids=["s1"]),
    catalog_pb2.ExportTitlesRequest(),
    recommendations_pb2.ListRecommendationsRequest(profile_id=NAME),
    opening(NAME),
    event("s1", rated=recommendations_pb2.TitleRated(stars=3)),
    event("s1", position=recommendations_pb2.PlaybackPosition(position=Duration(seconds=1))),
    recommendations_pb2.ListHistoryRequest(profile_id=NAME),
    recommendations_pb2.DeleteHistoryRequest(profile_id=NAME),
    sales_pb2.ListTotalsRequest(dimension=sales_pb2.DIMENSION_COUNTRY),
    sales_pb2.WatchTotalsRequest(dimensions=[sales_pb2.DIMENSION_COUNTRY]),
    billing_pb2.ListCustomersRequest(),
    billing_pb2.GetCustomerRequest(customer="17850"),
    billing_pb2.ListInvoicesRequest(customer="17850"),
    billing_pb2.GetInvoiceRequest(invoice_id=NAME),
    billing_pb2.ListRefundsRequest(),
    billing_pb2.GetRefundLimitRequest(invoice_id=NAME),
    billing_pb2.CreateRefundRequest(
        request_id=NAME, invoice_id=NAME, amount=money(1_00), reason="broken"
    ),
    billing_pb2.ApproveRefundRequest(request_id=NAME, refund_id=NAME),
    billing_pb2.RejectRefundRequest(request_id=NAME, refund_id=NAME, rejection="not so"),
)
FAULTS: Final = {
    name: [wrong for good in GOOD if isinstance(good, method.request) for wrong in wrongs(good)]
    for name, method in METHODS.items()
}
FOR_USERS: Final = [
    name for name, each in METHODS.items() if each.policy.access.end_user is EndUserRule.REQUIRED
]
SLOWED: Final = list({METHODS[name].service: name for name in FOR_USERS}.values())
"""One method of each service that users call; rates are those of the services."""


class Systems:
    """The systems behind their guards; `new` names somebody whom nobody saw before."""

    def __init__(self, mesh: LocalMesh, issuer: str) -> None:
        self.mesh = mesh
        self.issuer = issuer
        self._numbers = itertools.count()

    def new(self) -> str:
        """A user."""
        return f"user-{next(self._numbers)}"

    def token(self, method: Method, user: str = "", **changed: Any) -> str:
        """A token that is enough for a method, with changes."""
        access = method.policy.access
        system = method.service.split(".")[2]
        given: dict[str, Any] = {
            "scopes": sorted(access.scopes),
            "groups": [GROUPS[each] for each in access.user_roles],
            "issuer": self.issuer,
            "audience": AUDIENCES.get(system, STREAMING),
        }
        return self.mesh.token(user or self.new(), **(given | changed))

    def with_user(self, method: Method, user: str = "") -> dict[str, Any]:
        """What a call of a method has to bring along."""
        for_users = method.policy.access.end_user is EndUserRule.REQUIRED
        return {"token": self.token(method, user)} if for_users else {}

    async def end_of(
        self, method: Method, request: Message | None = None, as_: str = "", **more: Any
    ) -> StatusError | CallError | None:
        """How a call fails; None when it is answered (of a stream, when it begins to be)."""
        sent = next(each for each in GOOD if isinstance(each, method.request))
        message = sent if request is None else request
        client = self.mesh.client(CLIENTS[method.service], as_=as_ or caller(method))
        call = getattr(client, method.attribute)

        async def each() -> AsyncIterator[Message]:
            yield message

        try:
            given = call(each() if method.request_streaming else message, **more)
            await (anext(given, None) if method.response_streaming else given)
        except (StatusError, CallError) as error:
            return error
        return None

    async def refused(
        self, method: Method, request: Message | None = None, as_: str = "", **more: Any
    ) -> StatusError | CallError:
        """How a call fails that must."""
        found = await self.end_of(method, request, as_, **more)
        assert found is not None, f"{method.path} answered {request}"
        return found


def caller(method: Method) -> str:
    access = method.policy.access
    return MAY[min(access.workload_roles or access.roles)]


async def read_on(requests: AsyncIterator[Message], _call: Call) -> AsyncIterator[Message]:
    """Takes a session's messages."""
    async for _ in requests:
        yield recommendations_pb2.WatchResponse()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def systems(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Systems]:
    home: Path = tmp_path_factory.mktemp("refusals")
    with system_mesh(home) as mesh_file:
        nobody, somebody = "identity.introspector: {}", "{ workloads: [auditor] }"
        text = mesh_file.read_text()
        assert nobody in text
        text = text.replace(nobody, f"identity.introspector: {somebody}")
        mesh_file.write_text(text.replace(FACTORY, FACTORY_HERE))
        mesh = LocalMesh(
            mesh_file,
            state=home / "state",
            services=["identity", "sales", "billing"],
            # Guarded as the real ones, which take long to begin: no call comes past the guard.
            servicers={
                "catalog": stand_in(CatalogServiceBase),
                "recommendations": stand_in(RecommendationServiceBase, watch=read_on),
                "orders": stand_in(OrderServiceBase),
            },
        )
        async with mesh:
            yield Systems(mesh, origins(mesh_file, "identity")[1])


async def test_every_method_and_every_rule_is_tried() -> None:
    tried = {type(each) for each in GOOD}
    assert {each.request for each in METHODS.values()} == tried
    assert (len(METHODS), len(FOR_USERS)) == (29, 26)
    assert sum(map(len, FAULTS.values())) >= 90


@pytest.mark.parametrize("name", METHODS)
async def test_a_workload_without_the_role_is_refused(systems: Systems, name: str) -> None:
    method = METHODS[name]
    found = await systems.refused(method, as_="stranger", **systems.with_user(method))
    access = method.policy.access
    assert (found.code, found.reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")
    assert min(access.workload_roles or access.roles) in found.message


@pytest.mark.parametrize("name", FOR_USERS)
async def test_a_call_without_a_good_token_is_refused(systems: Systems, name: str) -> None:
    method = METHODS[name]
    access = method.policy.access
    denied, unknown = Code.PERMISSION_DENIED, Code.UNAUTHENTICATED
    cases = [
        ("", unknown, "TOKEN_MISSING", "brings no end user's access token"),
        (systems.token(method, lifetime=-1), unknown, "TOKEN_EXPIRED", "the token has expired"),
        (systems.token(method, audience=ELSEWHERE), unknown, "TOKEN_INVALID", "the token is "),
        ("no.such.token", unknown, "TOKEN_INVALID", "token"),
        *(
            (
                systems.token(method, scopes=sorted(access.scopes - {scope})),
                denied,
                "SCOPE_MISSING",
                scope,
            )
            for scope in sorted(access.scopes)
        ),
        *(
            (systems.token(method, groups=["viewer"]), denied, "ROLE_MISSING", role)
            for role in access.user_roles
        ),
    ]
    for token, code, reason, words in cases:
        found = await systems.refused(method, token=token)
        assert (found.code, found.reason) == (code, reason), found
        assert words in found.message
        assert len(token) < 20 or token not in found.message


@pytest.mark.parametrize("name", METHODS)
async def test_a_call_whose_time_is_over_is_refused(systems: Systems, name: str) -> None:
    method, found = METHODS[name], None
    while found is None or found.code is not Code.DEADLINE_EXCEEDED:
        # an answer may be quicker than the timer
        found = await systems.end_of(method, timeout=1e-6, **systems.with_user(method))
    assert found.reason in {"", "BUDGET_SPENT"}
    assert found.message


@pytest.mark.parametrize("name", [name for name, faults in FAULTS.items() if faults])
async def test_every_rule_of_every_field_is_kept(systems: Systems, name: str) -> None:
    method = METHODS[name]
    for field, rule, request in FAULTS[name]:
        found = await systems.refused(method, request, **systems.with_user(method))
        told = (rule, found.code, found.reason)
        assert told == (rule, Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert found.message.startswith("Invalid request: "), found.message
        described = {each.field: each.description for each in found.fields}
        assert described.get(field), (rule, field, described)


@pytest.mark.parametrize("name", SLOWED)
async def test_who_calls_too_often_is_told_when_to_come_back_and_nobody_else_is(
    systems: Systems, name: str
) -> None:
    method, user = METHODS[name], systems.new()
    more = systems.with_user(method, user)
    assert method.policy.rate is not None
    found: StatusError | CallError | None = None
    with systems.mesh.clock.still():
        while found is None or found.reason != "RATE_LIMITED":
            ends = await asyncio.gather(*(systems.end_of(method, **more) for _ in range(20)))
            found = next((each for each in ends if each and each.reason == "RATE_LIMITED"), None)
    assert found.code is Code.RESOURCE_EXHAUSTED
    assert f"{method.policy.rate.requests} calls in 1 s" in found.message
    assert found.retry_after
    assert user not in found.message
    other = await systems.end_of(method, **systems.with_user(method))
    assert other is None or other.reason != "RATE_LIMITED"
