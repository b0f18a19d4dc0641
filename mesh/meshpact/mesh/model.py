"""The model of mesh.yaml: one mesh, its services, roles, networks, token issuers and limits.

Every struct is frozen; `meshpact.mesh.config.load` makes them. Paths in the file are relative to
the file and absolute here; durations are numbers of seconds or texts such as `500ms`, `30s`, `5m`,
`12h` in the file and seconds here.
"""

from __future__ import annotations

import enum
from typing import Annotated

from msgspec import Meta, Struct

from meshpact.certs.spiffe import SpiffeId, TrustDomain

# What ends up in C-core's arguments must fit into 32 bits, times in milliseconds.
Seconds = Annotated[float, Meta(gt=0, le=604_800, extra={"duration": True})]
LongSeconds = Annotated[float, Meta(gt=0, le=315_360_000, extra={"duration": True})]
LeafSeconds = Annotated[float, Meta(ge=5, le=86_400, extra={"duration": True})]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
FilePath = Annotated[str, Meta(min_length=1, extra={"path": True})]


class Mode(enum.Enum):
    """Whether a missing role refuses a call or is only reported (decision `would_deny`)."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class Web(Struct, frozen=True, kw_only=True):
    """Where a service's pages are served over HTTP, beside its gRPC.

    In plain HTTP only to this machine (a loopback address); elsewhere `certificate` and `key` are
    given.
    """

    address: Annotated[str, Meta(min_length=1)]
    """`host:port`; port 0: any free one."""
    origin: str = ""
    """As browsers see it (RFC 6454), where a proxy stands before it: `https://shop.example`. Empty:
    the scheme and `address`."""
    certificate: Annotated[str, Meta(extra={"path": True})] = ""
    """A file of PEM certificates that browsers trust, the leaf first."""
    key: Annotated[str, Meta(extra={"path": True})] = ""
    """A file that only its owner can read, with the leaf's private key in PEM."""


class Service(Struct, frozen=True, kw_only=True):
    """A workload of the mesh and how to run it."""

    id: str = ""
    """Its SPIFFE ID; after `load` never empty (default `spiffe://TRUST-DOMAIN/NAME`)."""
    factory: str = ""
    """`module:callable` that makes its servicers; empty for a workload that only calls."""
    address: str = "127.0.0.1:0"
    """Where it listens; port 0: any free one. Empty, only with a command: it only calls."""
    replicas: Count = 1
    """How many processes serve it."""
    storage: str = ""
    """The URL of its database, empty for the default of the service."""
    calls: tuple[str, ...] = ()
    """What it calls: `package.Service/Method`, or `package.Service/*`."""
    serves: tuple[str, ...] = ()
    """The contracts that it serves, `package.Service`. Nothing is served by being named here: it
    tells the tools (lint, review) whose deadlines, audience and networks a method has. Empty: they
    go by its name (`meshpact.contracts.serving`)."""
    audience: str = ""
    """The `aud` that names this service alone; after `load` never empty (default: its ID)."""
    command: tuple[str, ...] = ()
    """The program and arguments of a process in any language, instead of a factory; it runs in the
    folder of mesh.yaml, without a shell."""
    web: Web | None = None
    """Where its pages are; only with a factory (`ServiceContext.serve_web`)."""

    @property
    def spiffe_id(self) -> SpiffeId:
        """`id`, parsed."""
        return SpiffeId.parse(self.id)


class Subject(Struct, frozen=True, kw_only=True):
    """An end user or a group by its name in the tokens of one issuer."""

    issuer: Annotated[str, Meta(min_length=1)]
    """As in `issuers`."""
    name: Annotated[str, Meta(min_length=1)]


class Role(Struct, frozen=True, kw_only=True):
    """Who holds a role."""

    workloads: tuple[str, ...] = ()
    """SPIFFE IDs, or prefixes of them ending in `/*`; after `load` no names of services."""
    users: tuple[str | Subject, ...] = ()
    """Subjects (`sub`) of end users' tokens; after `load` no plain texts."""
    groups: tuple[str | Subject, ...] = ()
    """Groups in end users' tokens (`issuers[].groups_claim`); after `load` no plain texts."""
    includes: tuple[str, ...] = ()
    """Roles that holders of this one hold too."""
    mode: Mode = Mode.ENFORCE


class Method(Struct, frozen=True, kw_only=True):
    """What this mesh says of a method beside its contract."""

    mode: Mode = Mode.ENFORCE
    """`observe`: roles and scopes that a caller lacks are reported, and it is let through."""


class Denied(Struct, frozen=True, kw_only=True):
    """Identities that are refused at once, whatever roles they hold."""

    workloads: tuple[str, ...] = ()
    """SPIFFE IDs, or prefixes of them ending in `/*`; after `load` no names of services."""
    serials: tuple[str, ...] = ()
    """Serial numbers of certificates, in hexadecimal as `meshpact certs show` prints them."""


class Federated(Struct, frozen=True, kw_only=True):
    """Another trust domain whose workloads are known here."""

    bundle: Annotated[str, Meta(min_length=1)]
    """A file with its trust bundle (a SPIFFE bundle document), or the https address of one."""
    refresh: Seconds = 300.0
    """How often it is looked at when it does not say so itself."""


class IdentitySettings(Struct, frozen=True, kw_only=True):
    """Where a process gets its identity; one of `workload_api` and `files`, or neither: from the
    state directory, where `meshpact up` and `meshpact certs` write it."""

    workload_api: str = ""
    """The address of a SPIFFE Workload API, such as `unix:///run/spire/agent.sock`."""
    files: Annotated[str, Meta(extra={"path": True})] = ""
    """A directory with tls.crt, tls.key and ca.crt."""
    lifetime: LeafSeconds = 3600.0
    """How long an identity is valid that `meshpact up` issues; it is renewed at half that time."""


class AuditSettings(Struct, frozen=True, kw_only=True):
    """How long audit trails are kept."""

    max_bytes: Count = 67_108_864
    """Size at which a new file is begun."""
    keep: Count = 10
    """Files of one service that are kept."""


class NetworkLists(Struct, frozen=True, kw_only=True):
    """Networks in CIDR notation from which calls may come, and `unix` for Unix sockets; a list that
    is empty allows none.

    A call must be inside each list that is given for it: the mesh's, its service's, and those of
    its method (`package.Service/Method`, and `package.Service/*`).
    """

    mesh: tuple[str, ...] | None = None
    services: dict[str, tuple[str, ...]] = {}
    """By the service's name in mesh.yaml."""
    methods: dict[str, tuple[str, ...]] = {}
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies (or `unix`) whose word about the caller's address counts: the metadata
    `x-forwarded-for`."""


class TokenType(enum.Enum):
    """What kind of token an issuer's end users bring."""

    ACCESS_TOKEN = "at+jwt"  # noqa: S105  (the name of a media type, RFC 9068 section 2.1)
    JWT = "JWT"

    @classmethod
    def _missing_(cls, value: object) -> TokenType | None:
        """Media types do not tell small letters from capitals (RFC 2045 section 5.1)."""
        return next((each for each in cls if each.value.lower() == str(value).lower()), None)


class Issuer(Struct, frozen=True, kw_only=True):
    """An issuer of end users' tokens. Exactly one of `jwks`, `discovery` and `file` is given."""

    issuer: Annotated[str, Meta(min_length=1)]
    """The `iss` of its tokens."""
    jwks: str = ""
    """URL of its key set."""
    discovery: str = ""
    """URL of its metadata (RFC 8414, OpenID Connect Discovery)."""
    file: Annotated[str, Meta(extra={"path": True})] = ""
    """Path of its key set."""
    audiences: Annotated[tuple[str, ...], Meta(min_length=1)]
    """A token must name at least one of these in `aud`."""
    algorithms: Annotated[tuple[str, ...], Meta(min_length=1)] = ("ES256", "RS256")
    """Signature algorithms accepted (RFC 7518); never `none` or a symmetric one."""
    token_type: TokenType = TokenType.ACCESS_TOKEN
    groups_claim: Annotated[str, Meta(min_length=1)] = "groups"
    """The claim that lists a user's groups."""
    client_id: str = ""
    """As whom this mesh asks the issuer: for introspection and for exchange of tokens."""
    client_secret_file: Annotated[str, Meta(extra={"path": True})] = ""
    """A file that only its owner can read, with the client's secret."""
    introspection: str = ""
    """URL that tells of opaque tokens (RFC 7662)."""
    token_endpoint: str = ""
    """URL where a service exchanges a user's token for one with another audience (RFC 8693)."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one server of the mesh bears."""

    max_metadata_bytes: Count = 16384
    """Size of a call's metadata as HTTP/2 counts it (RFC 9113, 6.5.2)."""
    max_concurrent_streams: Count = 1000
    """Calls at once on one connection."""
    max_connections: Count | None = None
    """Incoming connections at once."""
    max_connection_age: Seconds = 600.0
    """After this a connection takes no new calls."""
    max_connection_age_grace: Seconds = 30.0
    """What running calls get beyond `max_connection_age`."""
    max_connection_idle: Seconds = 300.0
    handshake_timeout: Seconds = 5.0
    drain: Seconds = 10.0
    """What running calls get when a server stops."""


class Databases(Struct, frozen=True, kw_only=True):
    """What the databases of services may take, and how long they keep what is not kept for good."""

    connections: Annotated[int, Meta(ge=2, le=1000)] = 7
    """Connections of one process to Postgres, at most; one of them listens."""
    keep_events: LongSeconds = 30 * 86_400.0
    """How long events can be followed from; whoever was away for longer begins anew."""
    keep_rows: LongSeconds = 90 * 86_400.0
    """How long rows are kept that only say how others came about."""
    prune_every: Seconds = 300.0
    """Time between two rounds that take out what was kept long enough."""
    prune_at_once: Annotated[int, Meta(ge=1, le=10_000)] = 500
    """Rows in one transaction of such a round, at most."""


class Telemetry(Struct, frozen=True, kw_only=True):
    """Where traces and metrics go."""

    otlp_endpoint: str = ""
    """`host:port` or URL of an OTLP/gRPC collector; empty: no traces are exported."""
    sample_ratio: Ratio = 1.0
    """The part of traces begun here that is sampled."""
    metrics_address: str = ""
    """`host:port` where each process serves Prometheus metrics over plain HTTP, with port 0 when
    several processes do (`mesh.json` has the ports they got); empty: nowhere."""


class Driver(Struct, frozen=True, kw_only=True):
    """A process that calls the mesh by itself once all services are ready (`meshpact up`)."""

    run: Annotated[str, Meta(min_length=3)]
    """`module:callable`, `async def run(context, until)` (`meshpact.servers.context`)."""
    identity: str
    """The service of mesh.yaml as which it calls."""


class System(Struct, frozen=True, kw_only=True):
    """A part of the mesh that can run by itself: `meshpact up --system NAME`."""

    services: Annotated[tuple[str, ...], Meta(min_length=1)]
    """The services that are started, by name."""
    driver: bool = False
    """Whether the driver calls it."""


class Example(Struct, frozen=True, kw_only=True):
    """A call that people can try: `meshpact up` shows how (`meshpact call`, grpcurl)."""

    method: str
    """`package.Service/Method`."""
    data: str = ""
    """The request as JSON."""
    identity: str
    """The service of mesh.yaml as which it is called."""
    user: str = ""
    """The end user, for a method that asks for one."""
    scopes: tuple[str, ...] = ()
    """The scopes of the end user's token."""


class MeshConfig(Struct, frozen=True, kw_only=True):
    """One mesh."""

    trust_domain: str
    services: dict[str, Service] = {}
    roles: dict[str, Role] = {}
    bindings_file: FilePath | None = None
    """JSON Lines of further role bindings (`meshpact.mesh.bindings`)."""
    methods: dict[str, Method] = {}
    """By `package.Service/Method`, or `package.Service/*`."""
    denied: Denied = Denied()
    identity: IdentitySettings = IdentitySettings()
    federation: dict[str, Federated] = {}
    """By the name of the trust domain."""
    audit: AuditSettings = AuditSettings()
    networks: NetworkLists = NetworkLists()
    issuers: tuple[Issuer, ...] = ()
    overlay: FilePath | None = None
    """Policies of contracts that are not one's own (`meshpact.mesh.overlay`)."""
    limits: Limits = Limits()
    databases: Databases = Databases()
    telemetry: Telemetry = Telemetry()
    driver: Driver | None = None
    systems: dict[str, System] = {}
    """What `meshpact up --system` can start; without the option the first one, and where there are
    none all services."""
    examples: tuple[Example, ...] = ()

    @property
    def domain(self) -> TrustDomain:
        """`trust_domain`, parsed."""
        return TrustDomain(self.trust_domain)

    def service_id(self, name: str) -> SpiffeId:
        """The SPIFFE ID of a service by its name; KeyError when mesh.yaml has no such service."""
        return self.services[name].spiffe_id
