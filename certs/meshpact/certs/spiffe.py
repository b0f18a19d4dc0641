"""SPIFFE IDs and trust domains as value types, by the grammar of the SPIFFE-ID standard.

https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md, section 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from meshpact.certs.errors import SpiffeError as SpiffeError

SCHEME: Final = "spiffe://"
MAX_ID_BYTES: Final = 2048
MAX_TRUST_DOMAIN_BYTES: Final = 255
_MAX_DNS_NAME: Final = 253

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]+")
_SEGMENT: Final = re.compile(r"[a-zA-Z0-9._-]+")
_WORKLOAD: Final = re.compile(
    r"spiffe://[a-z0-9._-]{1,255}(/(?!\.{1,2}(/|\Z))[a-zA-Z0-9._-]+)+", re.ASCII
)
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, order=True)
class TrustDomain:
    """A trust domain by its name: lower-case letters, digits, `.`, `-` and `_`, 255 at most."""

    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise SpiffeError(
                "trust-domain", "the trust domain is empty: write a name, acme.example"
            )
        if not _TRUST_DOMAIN.fullmatch(self.name):
            raise SpiffeError(
                "trust-domain",
                f"{_shown(self.name)} is not a trust domain: lower-case letters, digits, '.', '-' "
                "and '_' are allowed, no port and no user",
            )
        if len(self.name) > MAX_TRUST_DOMAIN_BYTES:
            raise SpiffeError(
                "length",
                f"the trust domain has {len(self.name)} bytes: "
                f"{MAX_TRUST_DOMAIN_BYTES} are allowed",
            )

    @property
    def id(self) -> SpiffeId:
        """The SPIFFE ID of the domain itself, which has no path; only CAs carry it."""
        return SpiffeId(self, "")

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """A SPIFFE ID. `path` is empty or starts with a slash: `/inventory`, `/ns/shop/sa/web`."""

    trust_domain: TrustDomain
    path: str

    def __post_init__(self) -> None:
        if self.path:
            _check_path(self.path)
        length = len(SCHEME) + len(self.trust_domain.name) + len(self.path)
        if length > MAX_ID_BYTES:
            raise SpiffeError(
                "length", f"the SPIFFE ID has {length} bytes: {MAX_ID_BYTES} are allowed"
            )

    @classmethod
    def parse(cls, text: str) -> SpiffeId:
        """The ID that a text spells; SpiffeError with the broken rule when it spells none."""
        if len(text) > MAX_ID_BYTES:
            raise SpiffeError(
                "length", f"the SPIFFE ID has {len(text)} characters: {MAX_ID_BYTES} are allowed"
            )
        if not text.startswith(SCHEME):
            raise SpiffeError(
                "scheme", f"{_shown(text)} is not a SPIFFE ID: it must start with {SCHEME}"
            )
        for mark, rule, name in (("?", "query", "query"), ("#", "fragment", "fragment")):
            if mark in text:
                raise SpiffeError(rule, f"{_shown(text)} has a {name}: a SPIFFE ID has none")
        if "%" in text:
            raise SpiffeError(
                "percent-encoding",
                f"{_shown(text)} holds a percent sign: a SPIFFE ID has no encoded characters",
            )
        authority, slash, rest = text[len(SCHEME) :].partition("/")
        if "@" in authority:
            raise SpiffeError("userinfo", f"{_shown(text)} names a user: a SPIFFE ID has none")
        if ":" in authority:
            raise SpiffeError("port", f"{_shown(text)} has a port: a SPIFFE ID has none")
        return cls(TrustDomain(authority), slash + rest)

    @classmethod
    def for_service(cls, trust_domain: TrustDomain | str, service: str) -> SpiffeId:
        """`spiffe://TRUST-DOMAIN/SERVICE`: the ID of a service by its name in mesh.yaml."""
        if isinstance(trust_domain, str):
            trust_domain = TrustDomain(trust_domain)
        return cls(trust_domain, f"/{service}")

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain.name}{self.path}"


def is_workload_id(text: str) -> bool:
    """Whether `SpiffeId.parse` takes a text and it has a path: for long lists, much faster."""
    return len(text) <= MAX_ID_BYTES and _WORKLOAD.fullmatch(text) is not None


def dns_name(spiffe_id: SpiffeId) -> str:
    """The DNS name that stands for an ID in TLS: `inventory.acme.example`.

    No two IDs share a name, and `from_dns_name` finds the ID again; so the path must be one segment
    that is a DNS label in lower case, and the trust domain a DNS name. SpiffeError otherwise.
    """
    label = spiffe_id.path[1:]
    if not _DNS_LABEL.fullmatch(label):
        raise SpiffeError(
            "dns-name",
            f"{spiffe_id} has no DNS name: its path must be one segment of lower-case letters, "
            "digits and inner '-', 63 at most, such as /inventory",
        )
    domain = spiffe_id.trust_domain.name
    if not all(map(_DNS_LABEL.fullmatch, domain.split("."))):
        raise SpiffeError(
            "dns-name",
            f"the trust domain {domain} is not a DNS name: between dots, lower-case letters, "
            "digits and inner '-' are allowed, 63 at most",
        )
    name = f"{label}.{domain}"
    if len(name) > _MAX_DNS_NAME:
        raise SpiffeError(
            "dns-name", f"the DNS name {name} has {len(name)} bytes: {_MAX_DNS_NAME} are allowed"
        )
    return name


def from_dns_name(name: str) -> SpiffeId:
    """The ID whose `dns_name` this is; SpiffeError when there is none."""
    label, _, domain = name.partition(".")
    spiffe_id = SpiffeId(TrustDomain(domain), f"/{label}")
    dns_name(spiffe_id)
    return spiffe_id


def _check_path(path: str) -> None:
    if not path.startswith("/"):
        raise SpiffeError("path", f"the path {_shown(path)} must start with a slash")
    if path.endswith("/"):
        raise SpiffeError("trailing-slash", f"the path {_shown(path)} ends with a slash")
    for segment in path[1:].split("/"):
        if not segment:
            raise SpiffeError("empty-segment", f"the path {_shown(path)} has an empty segment")
        if segment in (".", ".."):
            raise SpiffeError(
                "dot-segment", f"the path {_shown(path)} has a segment {segment!r}: not allowed"
            )
        if not _SEGMENT.fullmatch(segment):
            raise SpiffeError(
                "path",
                f"the path segment {_shown(segment)} is not allowed: letters, digits, '.', '-' and "
                "'_' are",
            )


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 100 else text[:97] + "...")
