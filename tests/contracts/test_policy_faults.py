"""A contract without a whole and sound policy does not generate: each fault at its exact place."""

from __future__ import annotations

from pathlib import Path

import pytest

import contractfiles
from contractfiles import ERRORS, WHOLE, service
from meshpact.contracts.check import check
from meshpact.contracts.faults import ContractsError, Fault
from meshpact.contracts.image import compile_image
from meshpact.contracts.model import Contracts

GET = "shop.v1.Shop/Get"
SHOP = "shop.v1.Shop"
ACCESS = 'access: {roles: "shop.reader"}\n'
DEADLINE = "deadline: {default: {seconds: 1}}\n"
AUDIT = "audit: {level: AUDIT_LEVEL_DENIALS}\n"


def faults(root: Path) -> tuple[Fault, ...]:
    """Every fault that the contracts below a root have."""
    try:
        check(Contracts(compile_image([root])))
    except ContractsError as error:
        return error.faults
    return ()


def bare(method_policy: str = "") -> str:
    """A service without a policy, whose one method may have one."""
    inside = f"{{ option (meshpact.policy.v1.method) = {method_policy}; }}" if method_policy else ""
    return f"service Shop {{\n  @@rpc Get(GetRequest) returns (GetResponse) {inside or ';'}\n}}\n"


CASES: dict[str, tuple[str, str, str, str]] = {
    "a method without access": (
        service("", DEADLINE + AUDIT).replace("rpc", "@@rpc"),
        GET,
        "no access is stated",
        'add access: { roles: "..." }, or access: { unauthenticated: { reason: "..." } } to let '
        "anyone call",
    ),
    "a method without a deadline": (
        service("", ACCESS + AUDIT).replace("rpc", "@@rpc"),
        GET,
        "no default deadline is stated",
        "add deadline: { default: { seconds: 1 } max: { seconds: 5 } }",
    ),
    "a method without audit": (
        service("", ACCESS + DEADLINE).replace("rpc", "@@rpc"),
        GET,
        "no audit level is stated",
        "add audit: { level: AUDIT_LEVEL_DENIALS }",
    ),
    "a missing part is told at the method's own option where it has one": (
        service("errors: []", ACCESS + DEADLINE).replace(
            "option (meshpact.policy.v1.method)", "@@option (meshpact.policy.v1.method)"
        ),
        GET,
        "no audit level is stated",
        "add audit: { level: AUDIT_LEVEL_DENIALS }",
    ),
    "an empty access": (
        service("  @@access: {}"),
        GET,
        "access is empty: it names no role and demands no end user",
        'add roles: "...", or end_user: END_USER_REQUIRED, or unauthenticated with a reason',
    ),
    "an unauthenticated access without a reason": (
        service('access: {\n  @@unauthenticated: {reason: "  "}}'),
        GET,
        "unauthenticated has no reason",
        'say why anyone may call: unauthenticated: { reason: "..." }',
    ),
    "an unauthenticated access beside roles": (
        service('@@access: {roles: "a.b" unauthenticated: {reason: "Open."}}'),
        GET,
        "unauthenticated stands beside another demand of access",
        "keep either unauthenticated or the others",
    ),
    "a role that is no name, the third of a list": (
        service('access: {roles: ["a", "b", @@"C"]}'),
        GET,
        "'C' is not a role name",
        "write lower-case words joined by dots, such as inventory.writer",
    ),
    "a role that is no name, the second of a repeated field": (
        service('access: {\n roles: "a"\n\t@@roles: "B!"}'),
        GET,
        "'B!' is not a role name",
        "write lower-case words joined by dots, such as inventory.writer",
    ),
    "a role that is no name, behind comments and odd brackets": (
        service("access <  # not a comment\n>").replace(
            "access <  # not a comment\n>",
            "/* access: {roles: 'X'} */ access < // roles: 'Y'\n  end_user: END_USER_REQUIRED,\n"
            '  @@roles: "Z" >',
        ),
        GET,
        "'Z' is not a role name",
        "write lower-case words joined by dots, such as inventory.writer",
    ),
    "a role that is no name, stated by a dotted option": (
        service(before='@@option (meshpact.policy.v1.method).access.roles = "X";'),
        GET,
        "'X' is not a role name",
        "write lower-case words joined by dots, such as inventory.writer",
    ),
    "a role that is no name, after a tab and letters beyond ASCII": (
        service('access: {unauthenticated: {reason: "é"}}').replace(
            'access: {unauthenticated: {reason: "é"}}', '/* é ü */\taccess: {@@roles: "Ü"}'
        ),
        GET,
        "'Ü' is not a role name",
        "write lower-case words joined by dots, such as inventory.writer",
    ),
    "a role that is no name, on the service": (
        service("", WHOLE.replace("roles", "@@roles").replace("shop.reader", "Reader")),
        SHOP,
        "'Reader' is not a role name",
        "write lower-case words joined by dots, such as inventory.writer",
    ),
    "scopes without an end user": (
        service('access: {roles: "a" @@scopes: "read"}'),
        GET,
        "scopes are demanded of an end user who may be absent",
        "add end_user: END_USER_REQUIRED",
    ),
    "an audience of no token": (
        service('access: {roles: "a" @@audience: "x"}'),
        GET,
        "an audience is demanded of a token that is not looked at",
        "add end_user: END_USER_REQUIRED or END_USER_OPTIONAL",
    ),
    "a deadline of zero": (
        service("deadline: {@@default: {}}"),
        GET,
        "the default deadline is not positive",
        "state more than 0 s",
    ),
    "a maximum below the default": (
        service("deadline: {default: {seconds: 2} @@max: {seconds: 1}}"),
        GET,
        "the maximum deadline (1 s) is less than the default (2 s)",
        "raise max or lower default",
    ),
    "a maximum without a default": (
        service("@@deadline: {max: {seconds: 1}}"),
        GET,
        "no default deadline is stated",
        "add deadline: { default: { seconds: 1 } max: { seconds: 5 } }",
    ),
    "a rate without requests": (
        service("@@rate: {per: {seconds: 1}}"),
        GET,
        "the rate allows no request",
        "add requests, at least 1",
    ),
    "a rate without a time": (
        service("@@rate: {requests: 1}"),
        GET,
        "the rate has no positive time",
        "add per: { seconds: 1 }",
    ),
    "a rate over no time": (
        service("rate: {requests: 1 @@per: {}}"),
        GET,
        "the rate has no positive time",
        "add per: { seconds: 1 }",
    ),
    "a rate both unlimited and limited": (
        service("rate: {requests: 1 @@unlimited: true}"),
        GET,
        "unlimited stands beside a limit",
        "keep one of them",
    ),
    "a rate by an end user nobody looks at": (
        service("rate: {requests: 1 per: {seconds: 1} @@by: RATE_KEY_END_USER}"),
        GET,
        "calls are counted by end user, but tokens are not looked at",
        "add end_user: END_USER_REQUIRED or END_USER_OPTIONAL to access, or count by "
        "RATE_KEY_CALLER",
    ),
    "a concurrency of none": (
        service("@@concurrency: {}"),
        GET,
        "no call may run",
        "add max, at least 1, or unlimited: true",
    ),
    "a concurrency both unlimited and limited": (
        service("concurrency: {max: 1 @@unlimited: true}"),
        GET,
        "unlimited stands beside a limit",
        "keep one of them",
    ),
    "an audit without a level": (
        service("@@audit: {}"),
        GET,
        "no audit level is stated",
        "add audit: { level: AUDIT_LEVEL_DENIALS }",
    ),
    "retries of a method that is not idempotent": (
        service("@@retries: {max_attempts: 2}"),
        GET,
        "a method that is not idempotent is tried again",
        "add option idempotency_level = IDEMPOTENT (and make it so), or drop retries",
    ),
    "retries out of bounds": (
        service("retries: {@@max_attempts: 9}", before="option idempotency_level = IDEMPOTENT;"),
        GET,
        "9 attempts are stated",
        "state 1 to 5",
    ),
    "an error that is not there, with a near one": (
        ERRORS + service('errors: ["NOT_FOUND", @@"NOT_FUOND"]'),
        GET,
        "there is no error 'NOT_FUOND'",
        "did you mean NOT_FOUND?",
    ),
    "an error by its value's bare name": (
        ERRORS + service('@@errors: "SHOP_ERROR_NOT_FOUND"'),
        GET,
        "there is no error 'SHOP_ERROR_NOT_FOUND'",
        "did you mean NOT_FOUND?",
    ),
    "an error that is like no other": (
        ERRORS + service('@@errors: "XYZ"'),
        GET,
        "there is no error 'XYZ'",
        "the errors of shop.v1 are NOT_FOUND",
    ),
    "an error of a package that has none": (
        service('@@errors: "XYZ"'),
        GET,
        "there is no error 'XYZ'",
        "shop.v1 has no error enum: write one with "
        'option (meshpact.policy.v1.errors).domain = "...", '
        "or give the full name of a value of another package",
    ),
    "an error by a full name that is not there": (
        ERRORS + service('@@errors: "shop.v1.SHOP_ERROR_NOT_FOUNT"'),
        GET,
        "there is no error 'shop.v1.SHOP_ERROR_NOT_FOUNT'",
        "did you mean shop.v1.SHOP_ERROR_NOT_FOUND?",
    ),
    "an error listed twice": (
        ERRORS
        + service('@@errors: "NOT_FOUND" errors: "shop.v1.SHOP_ERROR_NOT_FOUND"').replace(
            '@@errors: "NOT_FOUND" errors: "shop', 'errors: "NOT_FOUND" @@errors: "shop'
        ),
        GET,
        "the error 'shop.v1.SHOP_ERROR_NOT_FOUND' is listed twice",
        "list it once",
    ),
    "an error of the service that is not there": (
        ERRORS + service("", WHOLE + '@@errors: "GONE"'),
        SHOP,
        "there is no error 'GONE'",
        "the errors of shop.v1 are NOT_FOUND",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_faulty_policy_is_told_with_its_place_and_remedy(name: str, tmp_path: Path) -> None:
    body, subject, message, remedy = CASES[name]
    file, line, column = contractfiles.contract(tmp_path, body)
    assert line, "the case has no mark"
    assert [
        (f.place.file, f.place.line, f.place.column, f.subject, f.message, f.remedy)
        for f in faults(tmp_path)
    ] == [(str(file), line, column, subject, message, remedy)]


def test_an_error_whose_reason_two_enums_have_must_be_named_in_full(tmp_path: Path) -> None:
    other = ERRORS.replace("ShopError", "OtherError").replace("SHOP_", "OTHER_")
    contractfiles.contract(tmp_path, other, "shop/v1/other.proto")
    text = (tmp_path / "shop/v1/other.proto").read_text()
    messages = "message GetRequest {}\nmessage GetResponse {}\n"
    (tmp_path / "shop/v1/other.proto").write_text(text.replace(messages, ""))
    file, line, column = contractfiles.contract(tmp_path, ERRORS + service('@@errors: "NOT_FOUND"'))
    (fault,) = faults(tmp_path)
    assert (fault.place.file, fault.place.line, fault.place.column) == (str(file), line, column)
    assert fault.message == "'NOT_FOUND' is the reason of several errors"
    assert fault.remedy == (
        "name one of shop.v1.OTHER_ERROR_NOT_FOUND, shop.v1.SHOP_ERROR_NOT_FOUND"
    )


def test_lines_that_end_as_on_windows_count_the_same(tmp_path: Path) -> None:
    file, line, column = contractfiles.contract(tmp_path, service('access: {@@roles: "B"}'))
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    (fault,) = faults(tmp_path)
    assert (fault.place.line, fault.place.column) == (line, column)


def test_every_method_without_a_policy_is_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    methods = "".join(f"rpc M{n}(GetRequest) returns (GetResponse);\n" for n in range(3))
    file, _, _ = contractfiles.contract(tmp_path, f"service Shop {{\n{methods}}}\n")
    found = faults(tmp_path)
    assert [(f.place.line, f.subject) for f in found] == [
        (line, f"shop.v1.Shop/M{n}") for n, line in enumerate((11, 12, 13)) for _ in range(3)
    ]
    assert [f.message for f in found[:3]] == [
        "no access is stated",
        "no audit level is stated",
        "no default deadline is stated",
    ]
    assert {f.place.file for f in found} == {str(file)}


def test_a_fault_that_all_methods_inherit_is_told_once(tmp_path: Path) -> None:
    body = service("", WHOLE.replace("shop.reader", "Reader"))
    body = body.replace("rpc Get(", "rpc Put(GetRequest) returns (GetResponse);\nrpc Get(")
    contractfiles.contract(tmp_path, body)
    assert [f.subject for f in faults(tmp_path)] == [SHOP]


def test_a_fault_that_one_method_inherits_is_told_of_that_method(tmp_path: Path) -> None:
    user = WHOLE.replace('roles: "shop.reader"', "end_user: END_USER_REQUIRED")
    body = service(
        '@@access: {roles: "a"}',
        user + "rate: {requests: 1 per: {seconds: 1} by: RATE_KEY_END_USER}",
    ).replace("rpc Get(", "rpc Put(GetRequest) returns (GetResponse);\nrpc Get(")
    body = body.replace("@@", "").replace(
        "option (meshpact.policy.v1.method)", "@@option (meshpact.policy.v1.method)"
    )
    _, line, column = contractfiles.contract(tmp_path, body)
    (fault,) = faults(tmp_path)
    assert (fault.subject, fault.place.line, fault.place.column) == (GET, line, column)
    assert fault.message == (
        "calls are counted by end user, but tokens are not looked at "
        "(inherited from the service, line 15)"
    )


PAGES = "message ListRequest {{ {request} }}\nmessage ListResponse {{ {response} }}\n"
GOOD_REQUEST = "int32 page_size = 1; string page_token = 2;"
GOOD_RESPONSE = "repeated string names = 1; string next_page_token = 2;"


@pytest.mark.parametrize(
    ("request_fields", "response_fields", "messages"),
    [
        (GOOD_REQUEST, GOOD_RESPONSE, []),
        (
            "int64 page_size = 1;",
            GOOD_RESPONSE,
            [
                "ListRequest has no field int32 page_size (AIP-158)",
                "ListRequest has no field string page_token (AIP-158)",
            ],
        ),
        (
            GOOD_REQUEST,
            "string next_page_token = 1;",
            ["ListResponse has no repeated fields, where a page has one (AIP-158)"],
        ),
        (
            GOOD_REQUEST,
            "repeated string a = 1; repeated string b = 2; repeated string next_page_token = 3;",
            [
                "ListResponse has 3 repeated fields, where a page has one (AIP-158)",
                "ListResponse has no field string next_page_token (AIP-158)",
            ],
        ),
    ],
    ids=["complete", "request", "no list", "three lists"],
)
def test_a_list_method_must_have_the_fields_of_aip_158(
    request_fields: str, response_fields: str, messages: list[str], tmp_path: Path
) -> None:
    body = service("@@pagination: {default_size: 1 max_size: 2}")
    body = body.replace("GetRequest", "ListRequest").replace("GetResponse", "ListResponse")
    body += PAGES.format(request=request_fields, response=response_fields)
    _, line, column = contractfiles.contract(tmp_path, body)
    found = faults(tmp_path)
    assert [f.message for f in found] == messages
    assert all((f.place.line, f.place.column) == (line, column) for f in found)


def test_a_stream_has_no_pages(tmp_path: Path) -> None:
    body = service("@@pagination: {default_size: 1 max_size: 2}")
    contractfiles.contract(tmp_path, body.replace("returns (", "returns (stream "))
    assert [f.message for f in faults(tmp_path)] == ["a method that streams has pages"]
