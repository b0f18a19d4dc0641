"""Signed tokens read as strictly as the guard reads them, for a service that makes tokens itself:
an authorization server that is given its own ones back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from joserfc.jwk import Key

from meshpact.interceptors import signature
from meshpact.interceptors.keyring import KeyRing
from meshpact.interceptors.strictjson import parse_object

MAX_TOKEN: Final = signature.MAX_TOKEN
"""Characters of a token."""


def read_signed(
    token: str, keys: Sequence[Key], *, kind: str, algorithms: Collection[str]
) -> dict[str, Any]:
    """The claims of a token in JWS compact form (RFC 7515, section 3.1) that one of `keys` signed.

    Its header must name that key (`kid`; none is needed where there is one key) and have the `typ`
    given by `kind` (RFC 8725, section 3.11). ValueError says what is wrong, and holds nothing of
    the token. When it ends and whose it is are for the caller to check.
    """
    try:
        compact = signature.parse(token)
        if compact.header.get("typ") != kind:
            raise ValueError("the token is of another type")
        fitting = KeyRing(tuple(keys)).fitting(compact.key_id, compact.algorithm)
        signature.check(compact, fitting, algorithms)
    except signature.SignatureFault as fault:
        raise ValueError(str(fault)) from None
    return parse_object(compact.payload)
