"""Who the end user is: access tokens verified against the keys of known issuers, and remembered."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from meshpact.certs.thumbprint import certificate_thumbprint
from meshpact.interceptors import claims, errors, metadata, signature
from meshpact.interceptors.call import Caller
from meshpact.interceptors.claims import Rules, refusal
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.keyring import KeyRing
from meshpact.interceptors.keys import KeySource, Refreshable
from meshpact.interceptors.policy import Access, EndUserRule
from meshpact.interceptors.signature import Compact, SignatureFault
from meshpact.interceptors.strictjson import parse_object
from meshpact.interceptors.tokencache import TokenCache, Verified

_OPAQUE: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True)
class Issuer:
    """One issuer of mesh.yaml.

    `keys` is None for an issuer that is asked about every token (`Asking`). ValueError for an
    algorithm that is no signature by a private key.
    """

    name: str
    keys: KeySource | None
    audiences: frozenset[str]
    algorithms: frozenset[str]
    token_type: str = "at+jwt"  # noqa: S105
    groups_claim: str = "groups"
    client_id: str = ""

    def __post_init__(self) -> None:
        for algorithm in self.algorithms:
            if algorithm.lower() == "none" or algorithm.upper().startswith("HS"):
                raise ValueError(
                    f"issuer {self.name}: {algorithm} is no signature by a private key; ES256 and "
                    "RS256 are examples of those that are"
                )

    @property
    def rules(self) -> Rules:
        """How its tokens are read."""
        plain = self.token_type.lower() not in claims.ACCESS_TOKEN_TYPES
        return Rules(self.name, plain, self.groups_claim, self.client_id)


class Asking(Protocol):
    """Asks an issuer about tokens (RFC 7662) and remembers the answers for a short while."""

    @property
    def issuer(self) -> str:
        """The name of the issuer that is asked."""
        ...

    def answer(self, digest: bytes) -> Answer | None:
        """What is known of a token by its SHA-256, None when nothing is."""
        ...

    def question(self, token: str, digest: bytes) -> Refreshable | None:
        """What brings the answer; None when the issuer cannot be asked now."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What an issuer said: the claims of an active token, None for one that is not active.

    `until` is when it is to be asked again, on the wall clock.
    """

    claims: Mapping[str, Any] | None
    until: float

    def __repr__(self) -> str:
        return "Answer()"


class Stale(Exception):
    """Verification needs something first that takes waiting, which is for the adapter to do."""

    def __init__(self, source: Refreshable) -> None:
        super().__init__("the issuer's keys are to be refreshed")
        self.source = source


class Tokens:
    """Verifies tokens. What was verified is remembered until it expires or the keys change.

    `audience` is the service's own. Opaque tokens are `asking`'s affair; without it they are
    refused.
    """

    def __init__(
        self,
        issuers: Sequence[Issuer],
        *,
        audience: str = "",
        asking: Asking | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._rules = {issuer.name: issuer.rules for issuer in issuers}
        self._audience = audience
        self._asking = asking
        self._wall = wall
        self._verified = TokenCache()
        if asking is not None and asking.issuer not in self._issuers:
            raise ValueError(f"{asking.issuer} is asked about tokens, but it is no issuer here")

    def find(self, header: str, *, fresh: bool) -> Verified:
        """What the token of an `authorization` header proves, wherever it may be used.

        Raises StatusError to refuse, or Stale when something is to be brought first; with `fresh`
        (it just was) it refuses instead.
        """
        token = token_of(header)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None:
            if self._wall() < known.until:
                return known
            if known.until == known.user.expires:
                raise claims.expired()
        asking = self._asking
        if asking is None or signature.looks_signed(token):
            found = self._signed(token, digest, fresh)
        else:
            found = self._asked(asking, token, digest, fresh)
        self._verified.put(digest, found)
        return found

    def admit(self, found: Verified, audience: str, bound: bool, leaf_pem: bytes) -> None:
        """Passes a token that is for `audience` ("": for the mesh or this service), and on the
        connection that it is bound to if it is (with `bound`: as it must be)."""
        user = found.user
        if audience:
            if audience not in user.audience:
                raise refusal(errors.TOKEN_INVALID, f"the token is not for {audience}")
        elif self._audience not in user.audience and user.audience.isdisjoint(
            self._issuers[user.issuer].audiences
        ):
            raise refusal(errors.TOKEN_INVALID, "the token is for another audience")
        if found.thumbprint:
            if found.thumbprint != certificate_thumbprint(leaf_pem):
                raise refusal(
                    errors.TOKEN_BINDING_MISMATCH,
                    "the token is bound to another client certificate",
                )
        elif bound:
            raise refusal(
                errors.TOKEN_BINDING_MISMATCH,
                "the token must be bound to the client certificate (RFC 8705) and is not",
            )

    def seconds_left(self, found: Verified) -> float:
        """For how long what was found holds, if the keys do not change meanwhile."""
        return found.until - self._wall()

    def _signed(self, token: str, digest: bytes, fresh: bool) -> Verified:
        try:
            compact = signature.parse(token)
            said = parse_object(compact.payload)
        except SignatureFault as fault:
            raise refusal(errors.TOKEN_INVALID, str(fault)) from None
        except ValueError as fault:
            raise refusal(
                errors.TOKEN_INVALID, f"the token's claims are not sound: {fault}"
            ) from None
        name = said.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise refusal(errors.TOKEN_INVALID, "the token's issuer is not known here")
        if issuer.keys is None:
            if self._asking is None or self._asking.issuer != issuer.name:
                raise _unavailable()
            return self._asked(self._asking, token, digest, fresh)
        rules = self._rules[issuer.name]
        if compact.algorithm not in issuer.algorithms:
            raise refusal(errors.TOKEN_INVALID, "the token's algorithm is not allowed here")
        claims.check_type(compact.header, rules)
        ring = _ring(issuer.keys, compact, fresh)
        try:
            signature.check(
                compact, ring.fitting(compact.key_id, compact.algorithm), issuer.algorithms
            )
        except SignatureFault as fault:
            raise refusal(errors.TOKEN_INVALID, str(fault)) from None
        found = claims.of_access_token(said, rules, self._wall())
        return Verified(found.user, found.thumbprint, found.user.expires, issuer.keys, ring)

    def _asked(self, asking: Asking, token: str, digest: bytes, fresh: bool) -> Verified:
        if len(token) > signature.MAX_TOKEN:
            raise refusal(
                errors.TOKEN_INVALID,
                f"the token is longer than {signature.MAX_TOKEN} characters",
            )
        if not _OPAQUE.fullmatch(token):
            raise refusal(errors.TOKEN_INVALID, "the token is not one (RFC 6750 section 2.1)")
        answer = asking.answer(digest)
        if answer is None:
            question = None if fresh else asking.question(token, digest)
            if question is None:
                raise _unavailable()
            raise Stale(question)
        if answer.claims is None:
            raise refusal(errors.TOKEN_INVALID, "the token is not active")
        rules = self._rules[asking.issuer]
        said = claims.of_introspection(answer.claims, rules, self._wall())
        return Verified(said.user, said.thumbprint, min(answer.until, said.user.expires))


Verify = Callable[
    [Caller, "str | bytes | None", str, bytes, bool], tuple[Caller, str, Verified | None]
]
"""(caller, `authorization`, what is wrong with the metadata, leaf in PEM, keys are fresh) ->
(the caller with its user, the token, what it proves). Raises StatusError, or Stale."""


def compile_tokens(access: Access, verifier: Tokens | None) -> Verify | None:
    """The end-user check of one method; None when it does not look at tokens."""
    if access.end_user is EndUserRule.NONE:
        return None
    required = access.end_user is EndUserRule.REQUIRED
    audience, bound = access.audience, access.bound_token
    known = verifier or Tokens(())

    def verify(
        caller: Caller, header: str | bytes | None, fault: str, leaf: bytes, fresh: bool
    ) -> tuple[Caller, str, Verified | None]:
        if header is None:
            if required:
                raise refusal(errors.TOKEN_MISSING, "the call brings no end user's access token")
            return caller, "", None
        if isinstance(header, bytes) or fault.startswith(metadata.TWICE):
            raise metadata.malformed(fault)
        found = known.find(header, fresh=fresh)
        known.admit(found, audience, bound, leaf)
        return Caller(caller.workload, found.user), token_of(header), found

    return verify


def token_of(header: str) -> str:
    """The token of an `authorization` header (RFC 6750, 2.1). StatusError for another scheme."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise refusal(errors.TOKEN_INVALID, "the authorization scheme is not Bearer")
    return token.strip(" ")


def _ring(keys: KeySource, compact: Compact, fresh: bool) -> KeyRing:
    """The keys with the one that the token names among them."""
    ring = keys.current()
    if ring is not None and ring.has(compact.key_id):
        return ring
    if not compact.names_a_path and not fresh and keys.stale(compact.key_id):
        raise Stale(keys)
    if ring is None or keys.failing:
        raise _unavailable()
    raise refusal(errors.TOKEN_INVALID, "the token's key is not known")


def _unavailable() -> StatusError:
    return StatusError(
        errors.KEYS_UNAVAILABLE.code,
        "The token's issuer cannot be asked now",
        reason=errors.KEYS_UNAVAILABLE.name,
        domain=errors.DOMAIN,
        retry_after=1.0,
    )
