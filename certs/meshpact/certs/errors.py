"""What can be wrong with identities: each error names the rule that is broken."""

from __future__ import annotations


class CertsError(ValueError):
    """Base of the errors of this package.

    `rule` is a short stable name of what is broken (`trust-domain`, `key-usage`); the text says
    what was found, what is allowed and, where somebody can act, what to do.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class SpiffeError(CertsError):
    """A text is not a SPIFFE ID, or not one that is fit for its purpose."""


class SvidError(CertsError):
    """A certificate is not an X.509-SVID, or does not fit its key."""


class BundleError(CertsError):
    """A trust bundle cannot be used."""


class PeerError(CertsError):
    """A peer's certificate is not trusted."""


class SourceError(CertsError):
    """An identity cannot be loaded."""


class CaError(CertsError):
    """The local CA cannot be used, or refuses to issue."""


class IssuerError(CertsError):
    """The development token issuer cannot be used, or refuses to issue."""


class JwtSvidError(CertsError):
    """A token is not a JWT-SVID to be trusted, or the authority for them cannot be used."""
