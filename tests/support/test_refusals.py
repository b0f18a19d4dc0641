"""Each way in to billing that must be shut is shut, by code, reason and words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

import pytest
import pytest_asyncio

from acme.support.billing.v1 import billing_pb2 as pb
from acme.support.billing.v1.billing_mesh import BillingServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from reference.money import money
from support.desk import SCOPES, Desk, ask, desk_of, new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS: Final = "00000000-0000-4000-8000-000000000000"
AGENT: Final = ("agent",)
SUPERVISOR: Final = ("supervisor",)
Send = Callable[[BillingServiceClient, Any, str], Awaitable[object]]


class Method(NamedTuple):
    """One method: what it takes, and a request that is good in itself."""

    name: str
    scope: str
    groups: tuple[str, ...]
    request: Any
    send: Send


def _sending(name: str) -> Send:
    def send(client: BillingServiceClient, request: Any, token: str) -> Awaitable[object]:
        made: Awaitable[object] = getattr(client, name)(request, token=token)
        return made

    return send


METHODS: Final = (
    Method(
        "ListCustomers",
        "billing.read",
        AGENT,
        pb.ListCustomersRequest(),
        _sending("list_customers"),
    ),
    Method(
        "GetCustomer",
        "billing.read",
        AGENT,
        pb.GetCustomerRequest(customer="17850"),
        _sending("get_customer"),
    ),
    Method(
        "ListInvoices",
        "billing.read",
        AGENT,
        pb.ListInvoicesRequest(customer="17850"),
        _sending("list_invoices"),
    ),
    Method(
        "GetInvoice",
        "billing.read",
        AGENT,
        pb.GetInvoiceRequest(invoice_id=NOBODYS),
        _sending("get_invoice"),
    ),
    Method(
        "ListRefunds",
        "billing.read",
        AGENT,
        pb.ListRefundsRequest(),
        _sending("list_refunds"),
    ),
    Method(
        "GetRefundLimit",
        "billing.read",
        AGENT,
        pb.GetRefundLimitRequest(invoice_id=NOBODYS),
        _sending("get_refund_limit"),
    ),
    Method(
        "CreateRefund",
        "billing.refund",
        AGENT,
        ask(NOBODYS, 1),
        _sending("create_refund"),
    ),
    Method(
        "ApproveRefund",
        "billing.approve",
        SUPERVISOR,
        pb.ApproveRefundRequest(request_id=NOBODYS, refund_id=NOBODYS),
        _sending("approve_refund"),
    ),
    Method(
        "RejectRefund",
        "billing.approve",
        SUPERVISOR,
        pb.RejectRefundRequest(request_id=NOBODYS, refund_id=NOBODYS, rejection="not so"),
        _sending("reject_refund"),
    ),
)
BY_NAME: Final = {method.name: method for method in METHODS}
each_method = pytest.mark.parametrize("method", METHODS, ids=[each.name for each in METHODS])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("refusals")
    async with desk_of(folder, lambda name: f"sqlite:///{folder / name}.db") as running:
        yield running


async def refused(call: Awaitable[object]) -> tuple[Code, str, str]:
    """Code, reason and words that a call is refused with."""
    with pytest.raises((CallError, StatusError)) as caught:
        await call
    error = caught.value
    assert isinstance(error, CallError | StatusError)
    return error.code, error.reason, error.message


async def violations(call: Awaitable[object]) -> set[str]:
    """The fields that a call is refused for."""
    with pytest.raises(CallError) as caught:
        await call
    error = caught.value
    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert all(each.description for each in error.fields)
    return {each.field for each in error.fields}


WAYS: Final[list[tuple[str, str, dict[str, Any], Code, str, str]]] = [
    ("a workload without the role", "dashboard-web", {}, Code.PERMISSION_DENIED,
     "ROLE_MISSING", "billing.desk"),
    ("billing itself", "billing", {}, Code.PERMISSION_DENIED, "ROLE_MISSING", "billing.desk"),
    ("nobody's group", "support-web", {"groups": []}, Code.PERMISSION_DENIED,
     "ROLE_MISSING", "billing."),
    ("another group", "support-web", {"groups": ["analyst"]}, Code.PERMISSION_DENIED,
     "ROLE_MISSING", "billing."),
    ("an issuer whose groups count elsewhere", "support-web",
     {"issuer": "https://issuer.meshpact.localhost"}, Code.PERMISSION_DENIED,
     "ROLE_MISSING", "billing."),
    ("an expired token", "support-web", {"lifetime": -1}, Code.UNAUTHENTICATED,
     "TOKEN_EXPIRED", "expired"),
    ("a token of another system", "support-web", {"audience": "marketing.acme.example"},
     Code.UNAUTHENTICATED, "TOKEN_INVALID", "not for support.acme.example"),
]  # fmt: skip


@each_method
@pytest.mark.parametrize("way", WAYS, ids=[way[0] for way in WAYS])
async def test_who_may_not_is_told_why(
    open_desk: Desk, method: Method, way: tuple[str, str, dict[str, Any], Code, str, str]
) -> None:
    name, workload, options, code, reason, words = way
    token = open_desk.token(f"{name}-{method.name}", **({"groups": method.groups} | options))
    call = method.send(open_desk.client_as(workload), method.request, token)
    found = await refused(call)
    assert found[:2] == (code, reason)
    assert words in found[2]


@each_method
async def test_without_an_end_user_or_the_scope_nothing_is_told(
    open_desk: Desk, method: Method
) -> None:
    assert (await refused(method.send(open_desk.client, method.request, "")))[:2] == (
        Code.UNAUTHENTICATED,
        "TOKEN_MISSING",
    )
    others = [each for each in SCOPES if each != method.scope]
    token = open_desk.token("unscoped", *method.groups, scopes=others)
    code, reason, words = await refused(method.send(open_desk.client, method.request, token))
    assert (code, reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    assert method.scope in words


@each_method
async def test_who_may_needs_no_more_than_the_methods_own_scope_and_group(
    open_desk: Desk, method: Method
) -> None:
    token = open_desk.token("just-enough", *method.groups, scopes=[method.scope])
    try:
        await method.send(open_desk.client, method.request, token)
    except (CallError, StatusError) as error:
        assert error.code is Code.NOT_FOUND  # what was asked for is not there


@pytest.mark.parametrize("name", ["ApproveRefund", "RejectRefund"])
async def test_an_agent_decides_on_nothing_whatever_scopes_the_token_has(
    open_desk: Desk, name: str
) -> None:
    method = BY_NAME[name]
    call = method.send(open_desk.client, method.request, open_desk.staff("agent"))
    code, reason, words = await refused(call)
    assert (code, reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")
    assert "billing.supervisor" in words


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("GetCustomer", "CUSTOMER_UNKNOWN", "There is no customer of that number."),
        ("ListInvoices", "CUSTOMER_UNKNOWN", "There is no customer of that number."),
        ("GetInvoice", "INVOICE_UNKNOWN", f"There is no invoice {NOBODYS}."),
        ("GetRefundLimit", "INVOICE_UNKNOWN", f"There is no invoice {NOBODYS}."),
        ("CreateRefund", "INVOICE_UNKNOWN", f"There is no invoice {NOBODYS}."),
        ("ApproveRefund", "REFUND_UNKNOWN", f"There is no refund {NOBODYS}."),
        ("RejectRefund", "REFUND_UNKNOWN", f"There is no refund {NOBODYS}."),
    ],
)
async def test_what_is_not_there_is_said_to_be_absent(
    open_desk: Desk, name: str, reason: str, words: str
) -> None:
    method = BY_NAME[name]
    token = open_desk.staff(*method.groups)
    found = await refused(method.send(open_desk.client, method.request, token))
    assert found == (Code.NOT_FOUND, reason, words)


FAULTS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("ListCustomers", {"customer_prefix": "1" * 201}, "customer_prefix"),
    ("ListCustomers", {"country": "N" * 61}, "country"),
    ("ListCustomers", {"page_size": -1}, "page_size"),
    ("ListCustomers", {"page_token": "made up"}, "page_token"),
    ("ListCustomers", {"page_token": "x" * 2001}, "page_token"),
    ("GetCustomer", {"customer": ""}, "customer"),
    ("GetCustomer", {"customer": "1" * 201}, "customer"),
    ("ListInvoices", {"customer": ""}, "customer"),
    ("ListInvoices", {"page_size": -1}, "page_size"),
    ("ListInvoices", {"page_token": "made up"}, "page_token"),
    ("GetInvoice", {"invoice_id": "1 OR 1=1"}, "invoice_id"),
    ("ListRefunds", {"customer": "1" * 201}, "customer"),
    ("ListRefunds", {"state": 9}, "state"),
    ("ListRefunds", {"page_size": -1}, "page_size"),
    ("ListRefunds", {"page_token": "made up"}, "page_token"),
    ("GetRefundLimit", {"invoice_id": ""}, "invoice_id"),
    ("CreateRefund", {"request_id": ""}, "request_id"),
    ("CreateRefund", {"request_id": "again"}, "request_id"),
    ("CreateRefund", {"invoice_id": "the first one"}, "invoice_id"),
    ("CreateRefund", {"amount": None}, "amount"),
    ("CreateRefund", {"amount": money(0)}, "amount"),
    ("CreateRefund", {"amount": money(-1_00)}, "amount"),
    ("CreateRefund", {"amount": money(1_000_001_00)}, "amount"),
    ("CreateRefund", {"amount": money(1_000_000_01)}, "amount"),
    ("CreateRefund", {"amount": {"currency_code": "GBP", "nanos": 1}}, "amount"),
    ("CreateRefund", {"amount": {"currency_code": "GBP", "units": 1, "nanos": -1}}, "amount"),
    ("CreateRefund", {"reason": "no"}, "reason"),
    ("CreateRefund", {"reason": "n" * 501}, "reason"),
    ("ApproveRefund", {"request_id": ""}, "request_id"),
    ("ApproveRefund", {"refund_id": "all"}, "refund_id"),
    ("RejectRefund", {"request_id": ""}, "request_id"),
    ("RejectRefund", {"refund_id": "all"}, "refund_id"),
    ("RejectRefund", {"rejection": ""}, "rejection"),
    ("RejectRefund", {"rejection": "n" * 501}, "rejection"),
]


@pytest.mark.parametrize(("name", "fields", "field"), FAULTS)
async def test_a_faulty_field_is_named(
    open_desk: Desk, name: str, fields: dict[str, Any], field: str
) -> None:
    method = BY_NAME[name]
    kept = {each.name: value for each, value in method.request.ListFields()}
    request = type(method.request)(**(kept | fields))
    token = open_desk.staff(*method.groups)
    assert await violations(method.send(open_desk.client, request, token)) == {field}


async def test_more_than_is_left_is_refused_with_what_is_left(open_desk: Desk) -> None:
    invoice = await open_desk.invoice(100_00)
    agent = open_desk.staff()
    await open_desk.refund(agent, invoice, 30_00)
    await open_desk.refund(agent, invoice, 60_00)
    found = await refused(open_desk.refund(agent, invoice, 10_01))
    words = f"Only 10.00 GBP of invoice {invoice} can be given back; 10.01 GBP was asked for."
    assert found == (Code.FAILED_PRECONDITION, "REFUND_TOO_LARGE", words)


async def test_another_currency_than_the_invoices_is_refused(open_desk: Desk) -> None:
    invoice = await open_desk.invoice(100_00)
    for currency in ("EUR", ""):
        request = ask(invoice, 1_00, currency=currency)
        call = open_desk.client.create_refund(request, token=open_desk.staff())
        assert await refused(call) == (
            Code.INVALID_ARGUMENT,
            "CURRENCY_MISMATCH",
            "The invoice is in GBP; a refund of it has to be, too.",
        )


async def test_a_supervisor_does_not_decide_on_an_own_refund(open_desk: Desk) -> None:
    invoice = await open_desk.invoice(1000_00)
    supervisor = open_desk.staff("supervisor")
    waiting = await open_desk.refund(supervisor, invoice, 600_00)
    for call in (
        open_desk.approve(supervisor, waiting.refund_id),
        open_desk.reject(supervisor, waiting.refund_id),
    ):
        assert await refused(call) == (
            Code.PERMISSION_DENIED,
            "OWN_REFUND",
            "Another supervisor has to decide on a refund that you asked for.",
        )
    assert (await open_desk.left(supervisor, invoice))[1] == 400_00


async def test_nobody_decides_twice(open_desk: Desk) -> None:
    invoice = await open_desk.invoice(1000_00)
    agent, first, second = open_desk.staff(), *(open_desk.staff("supervisor") for _ in "12")
    given, turned_down, alone = [
        (await open_desk.refund(agent, invoice, pence)).refund_id for pence in (60_00, 70_00, 5_00)
    ]
    await open_desk.approve(first, given)
    await open_desk.reject(first, turned_down)
    for name, state in ((given, "issued"), (turned_down, "rejected"), (alone, "issued")):
        for call in (open_desk.approve(second, name), open_desk.reject(second, name)):
            assert await refused(call) == (
                Code.FAILED_PRECONDITION,
                "REFUND_DECIDED",
                f"The refund {name} is {state} already.",
            )
    assert (await open_desk.left(agent, invoice))[1] == 935_00


@pytest.mark.parametrize("name", ["CreateRefund", "ApproveRefund", "RejectRefund"])
async def test_a_request_id_that_was_used_for_something_else_is_refused(
    open_desk: Desk, name: str
) -> None:
    invoice, used = await open_desk.invoice(1000_00), new_id()
    agent, supervisor = open_desk.staff(), open_desk.staff("supervisor")
    first, second = [(await open_desk.refund(agent, invoice, 60_00)).refund_id for _ in range(2)]
    reject = BY_NAME["RejectRefund"].send
    requests: dict[str, tuple[Any, Any]] = {
        "CreateRefund": (ask(invoice, 1_00, used), ask(invoice, 2_00, used)),
        "ApproveRefund": (
            pb.ApproveRefundRequest(request_id=used, refund_id=first),
            pb.ApproveRefundRequest(request_id=used, refund_id=second),
        ),
        "RejectRefund": (
            pb.RejectRefundRequest(request_id=used, refund_id=first, rejection="not so"),
            pb.RejectRefundRequest(request_id=used, refund_id=first, rejection="so what"),
        ),
    }
    token = agent if name == "CreateRefund" else supervisor
    send = BY_NAME[name].send
    await send(open_desk.client, requests[name][0], token)
    found = await refused(send(open_desk.client, requests[name][1], token))
    words = f"The request_id {used} was used before with other content; take a new one."
    assert found == (Code.ALREADY_EXISTS, "REQUEST_REUSED", words)
    # What waits still waits.
    again = pb.RejectRefundRequest(request_id=new_id(), refund_id=second, rejection="not so")
    await reject(open_desk.client, again, supervisor)


@pytest.mark.parametrize("name", ["ListCustomers", "ListInvoices", "ListRefunds"])
async def test_a_page_token_is_good_for_one_agent_and_the_same_arguments(
    open_desk: Desk, name: str
) -> None:
    token, method = open_desk.staff(), BY_NAME[name]
    for _ in range(2):
        await open_desk.refund(token, await open_desk.invoice(customer="17850"), 1_00)
    await open_desk.invoice(customer="17851")
    request = type(method.request)()
    request.CopyFrom(method.request)
    request.page_size = 1
    page: Any = await method.send(open_desk.client, request, token)
    request.page_token = page.next_page_token
    assert request.page_token
    await method.send(open_desk.client, request, token)
    another = method.send(open_desk.client, request, open_desk.staff())
    assert await violations(another) == {"page_token"}
    changed = "customer_prefix" if name == "ListCustomers" else "customer"
    setattr(request, changed, "17851")
    assert await violations(method.send(open_desk.client, request, token)) == {changed}


async def test_an_agent_who_asks_too_often_is_slowed_down_and_others_are_not(
    open_desk: Desk,
) -> None:
    method, token = BY_NAME["ListRefunds"], open_desk.staff()
    found: tuple[Code, str, str] | None = None
    for _ in range(200):
        try:
            await method.send(open_desk.client, method.request, token)
        except CallError as error:
            found = error.code, error.reason, error.message
            break
    assert found is not None
    assert found[:2] == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    await method.send(open_desk.client, method.request, open_desk.staff())
