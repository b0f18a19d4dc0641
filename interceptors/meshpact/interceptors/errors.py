"""How a call fails: what handlers raise, what callers catch, and Meshpact's own reasons.

    MeshpactError
      StatusError        a status with a reason, raised in handlers and by the guard
        ContractError    base of the exceptions that are generated from error enums
      UpstreamError      a call to another service failed (`meshpact.clients.CallError` is one)

A client raises the same ContractError class that the handler raised; any other failure of a call
reaches it as `meshpact.clients.CallError`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

import grpc

Code = grpc.StatusCode

DOMAIN: Final = "meshpact"
"""google.rpc.ErrorInfo.domain of the errors that Meshpact itself answers with."""


class MeshpactError(Exception):
    """Base of every exception that Meshpact defines."""


class UpstreamError(MeshpactError):
    """A call that this process made to another service failed.

    Let out of a handler, it reaches the caller as UNAVAILABLE or DEADLINE_EXCEEDED where it was
    that, and masked otherwise: what another service answered is not this service's answer.
    `answer` is what it reaches the caller as instead, where it is for the caller to mend.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.answer: StatusError | None = None


class FieldViolation(NamedTuple):
    """One fault in a request, as google.rpc.BadRequest.FieldViolation carries it.

    `field` is a path in the names of the contract (`lines[2].sku`), empty for a fault of the whole
    message; `description` is for people; `reason` is AIP-193 upper snake case.
    """

    field: str
    description: str
    reason: str


class StatusError(MeshpactError):
    """Ends a call with a status. Raise it in a handler where no generated error fits.

    `reason` is AIP-193 upper snake case (default: the name of `code`); `domain` defaults to the
    service's full name. `retry_after` is in seconds and becomes google.rpc.RetryInfo, `fields`
    become google.rpc.BadRequest, `quota` (subject, description) google.rpc.QuotaFailure.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        domain: str = "",
        metadata: Mapping[str, str] | None = None,
        fields: Sequence[FieldViolation] = (),
        quota: tuple[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        if code is Code.OK:
            raise ValueError("StatusError: code is OK; an error needs another status code")
        self.code = code
        self.message = message
        self.reason = reason or code.name
        self.domain = domain
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.fields = tuple(fields)
        self.quota = quota
        self.retry_after = retry_after


class ContractError(StatusError):
    """Base of the exceptions that are generated from a contract's error enums.

    A subclass states its `CODE`, `REASON`, `DOMAIN`, `MESSAGE` (with `{key}` places) and `KEYS`
    (the metadata keys); defining it registers it, so that clients raise the same class.
    """

    CODE: ClassVar[grpc.StatusCode]
    REASON: ClassVar[str]
    DOMAIN: ClassVar[str]
    MESSAGE: ClassVar[str]
    KEYS: ClassVar[tuple[str, ...]]

    _registry: ClassVar[dict[tuple[str, str], type[ContractError]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "REASON" in cls.__dict__:
            ContractError._registry[cls.DOMAIN, cls.REASON] = cls

    def __init__(self, metadata: Mapping[str, str]) -> None:
        super().__init__(
            self.CODE,
            _render(self.MESSAGE, metadata),
            reason=self.REASON,
            domain=self.DOMAIN,
            metadata=metadata,
        )

    @classmethod
    def of(cls, domain: str, reason: str) -> type[ContractError] | None:
        """The generated class for a domain and reason, None when no loaded contract has it."""
        return cls._registry.get((domain, reason))

    @classmethod
    def known(cls) -> tuple[type[ContractError], ...]:
        """Every generated class of the contracts that are loaded."""
        return tuple(cls._registry.values())

    @classmethod
    def received(cls, message: str, metadata: Mapping[str, str]) -> ContractError:
        """The error as a caller got it: the sender's words and metadata, missing keys empty."""
        error = cls.__new__(cls)
        known = dict.fromkeys(cls.KEYS, "") | dict(metadata)
        StatusError.__init__(
            error, cls.CODE, message, reason=cls.REASON, domain=cls.DOMAIN, metadata=known
        )
        return error


def _render(template: str, values: Mapping[str, str]) -> str:
    parts: list[str] = []
    for text, key, _, _ in string.Formatter().parse(template):
        parts.append(text)
        if key is not None:
            parts.append(values.get(key, ""))
    return "".join(parts)


class Reason(NamedTuple):
    """One of Meshpact's own error reasons, with the status code it is sent with."""

    name: str
    code: grpc.StatusCode


METHOD_UNKNOWN: Final = Reason("METHOD_UNKNOWN", Code.UNIMPLEMENTED)
IDENTITY_MISSING: Final = Reason("IDENTITY_MISSING", Code.UNAUTHENTICATED)
IDENTITY_INVALID: Final = Reason("IDENTITY_INVALID", Code.UNAUTHENTICATED)
SVID_EXPIRED: Final = Reason("SVID_EXPIRED", Code.UNAUTHENTICATED)
IDENTITY_DENIED: Final = Reason("IDENTITY_DENIED", Code.PERMISSION_DENIED)
NETWORK_DENIED: Final = Reason("NETWORK_DENIED", Code.PERMISSION_DENIED)
TOKEN_MISSING: Final = Reason("TOKEN_MISSING", Code.UNAUTHENTICATED)
TOKEN_INVALID: Final = Reason("TOKEN_INVALID", Code.UNAUTHENTICATED)
TOKEN_EXPIRED: Final = Reason("TOKEN_EXPIRED", Code.UNAUTHENTICATED)
TOKEN_BINDING_MISMATCH: Final = Reason("TOKEN_BINDING_MISMATCH", Code.UNAUTHENTICATED)
KEYS_UNAVAILABLE: Final = Reason("KEYS_UNAVAILABLE", Code.UNAVAILABLE)
AUDIT_UNAVAILABLE: Final = Reason("AUDIT_UNAVAILABLE", Code.UNAVAILABLE)
STORAGE_UNAVAILABLE: Final = Reason("STORAGE_UNAVAILABLE", Code.UNAVAILABLE)
ROLE_MISSING: Final = Reason("ROLE_MISSING", Code.PERMISSION_DENIED)
SCOPE_MISSING: Final = Reason("SCOPE_MISSING", Code.PERMISSION_DENIED)
METADATA_INVALID: Final = Reason("METADATA_INVALID", Code.INVALID_ARGUMENT)
METADATA_TOO_LARGE: Final = Reason("METADATA_TOO_LARGE", Code.RESOURCE_EXHAUSTED)
MESSAGE_TOO_LARGE: Final = Reason("MESSAGE_TOO_LARGE", Code.RESOURCE_EXHAUSTED)
RATE_LIMITED: Final = Reason("RATE_LIMITED", Code.RESOURCE_EXHAUSTED)
OVERLOADED: Final = Reason("OVERLOADED", Code.UNAVAILABLE)
BUDGET_SPENT: Final = Reason("BUDGET_SPENT", Code.DEADLINE_EXCEEDED)
DEADLINE_MAXIMUM: Final = Reason("DEADLINE_MAXIMUM", Code.DEADLINE_EXCEEDED)
INVALID_REQUEST: Final = Reason("INVALID_REQUEST", Code.INVALID_ARGUMENT)
MALFORMED_REQUEST: Final = Reason("MALFORMED_REQUEST", Code.INTERNAL)
CARDINALITY: Final = Reason("CARDINALITY", Code.UNIMPLEMENTED)
MASKED: Final = Reason("MASKED", Code.INTERNAL)


def invalid_request(faults: Sequence[FieldViolation]) -> StatusError:
    """The refusal of a request for faults in its fields, at least one, the same wherever it is
    found: INVALID_ARGUMENT, reason INVALID_REQUEST, with BadRequest.
    """
    text = f"Invalid request: {_sentence(faults[0])}"
    if len(faults) > 1:
        text += f" (and {len(faults) - 1} more)"
    return StatusError(
        INVALID_REQUEST.code, text, reason=INVALID_REQUEST.name, domain=DOMAIN, fields=faults
    )


def _sentence(fault: FieldViolation) -> str:
    if fault.reason == "REQUIRED":
        return fault.description
    return f"field '{fault.field}' {fault.description}" if fault.field else fault.description
