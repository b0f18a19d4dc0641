"""The methods of the Workload API: who may call them, and what goes out again when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final, NoReturn, Protocol, TypeVar

import grpc
import grpc.aio

from meshpact.certs.errors import CertsError
from meshpact.certs.identity import Identity, IdentitySource
from meshpact.certs.jwtauthority import AHEAD, JwtAuthority
from meshpact.certs.jwtsvid import JwtSvidError, verify_jwt_svid
from meshpact.servers.workloadapi import messages, proto

_log: Final = logging.getLogger(__name__)

HEADER: Final = ("workload.spiffe.io", "true")
"""Metadata of every call (SPIFFE Workload Endpoint, section 6): no web page can send it."""
REFRESH: Final = 60.0
"""Seconds between two looks at the keys for JWT-SVIDs."""

M = TypeVar("M", proto.X509SVIDResponse, proto.X509BundlesResponse, proto.JWTBundlesResponse)
Context = grpc.aio.ServicerContext[Any, Any]

assert REFRESH < AHEAD / 2


class Attested(Protocol):
    """Tells which service of mesh.yaml a call comes from."""

    def __call__(self, peer: str) -> str | None:
        """The service, by `context.peer()`; None when the caller is none, or is no more."""
        ...


class WorkloadApi:
    """Answers workloads. `sources` gives each service's source of identities; it may block, and is
    asked by one thread at a time."""

    def __init__(
        self,
        attested: Attested,
        sources: Callable[[str], IdentitySource],
        authority: JwtAuthority,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._attested = attested
        self._sources = sources
        self._authority = authority
        self._wall = wall
        self._opening = asyncio.Lock()
        self._keys_changed: set[asyncio.Event] = set()

    async def fetch_x509_svid(
        self, _request: proto.X509SVIDRequest, context: Context
    ) -> AsyncIterator[proto.X509SVIDResponse]:
        """The caller's SVID now, and again whenever it or a bundle changes."""
        async with contextlib.aclosing(self._identities(context)) as identities:
            async for identity in identities:
                yield messages.x509_svid(identity)

    async def fetch_x509_bundles(
        self, _request: proto.X509BundlesRequest, context: Context
    ) -> AsyncIterator[proto.X509BundlesResponse]:
        """The bundles that the caller trusts now, and again whenever one changes."""
        sent: proto.X509BundlesResponse | None = None
        async with contextlib.aclosing(self._identities(context)) as identities:
            async for identity in identities:
                response = messages.x509_bundles(identity)
                if response != sent:
                    yield response
                    sent = response

    async def fetch_jwt_svid(
        self, request: proto.JWTSVIDRequest, context: Context
    ) -> proto.JWTSVIDResponse:
        """A JWT-SVID of the caller for the audience that it asks for."""
        service = await self._service(context)
        if not request.audience or not all(request.audience):
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "an audience is needed")
        own = (await self._current(service, context)).svid.id
        if request.spiffe_id and request.spiffe_id != str(own):
            await _refuse(
                context, grpc.StatusCode.PERMISSION_DENIED, "the caller's ID is another one"
            )
        svid = self._authority.issue(own, list(request.audience), self._wall())
        return messages.jwt_svid(svid)

    async def fetch_jwt_bundles(
        self, _request: proto.JWTBundlesRequest, context: Context
    ) -> AsyncIterator[proto.JWTBundlesResponse]:
        """The keys that sign JWT-SVIDs now, and again whenever they change."""
        changed = asyncio.Event()
        self._keys_changed.add(changed)
        try:
            while True:
                changed.clear()
                await self._service(context)
                yield messages.jwt_bundles([self._authority.bundle])
                await changed.wait()
        finally:
            self._keys_changed.discard(changed)

    async def validate_jwt_svid(
        self, request: proto.ValidateJWTSVIDRequest, context: Context
    ) -> proto.ValidateJWTSVIDResponse:
        """Who a JWT-SVID is, for a caller that leaves the checks to us."""
        await self._service(context)
        if not request.audience:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "an audience is needed")
        bundle = self._authority.bundle
        try:
            svid = verify_jwt_svid(
                request.svid, request.audience, {bundle.trust_domain.name: bundle}, self._wall()
            )
        except JwtSvidError as error:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return messages.validated(svid)

    async def keep_keys(self) -> None:
        """Let the keys for JWT-SVIDs follow each other, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH)
            try:
                self.refresh_keys()
            except OSError as error:
                _log.error("the keys for JWT-SVIDs cannot be written: %s", error.strerror)

    def refresh_keys(self) -> None:
        """Look whether a new key is due, and tell those who follow the bundle."""
        if self._authority.refresh(self._wall()):
            for changed in self._keys_changed:
                changed.set()

    async def _identities(self, context: Context) -> AsyncGenerator[Identity]:
        """The caller's identity now and after each change; changes during a send come as one."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        service = await self._service(context)

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(changed.set)

        source = await self._source(service, context)
        unsubscribe = source.subscribe(told)
        try:
            sent: Identity | None = None
            while True:
                changed.clear()
                identity = source.current()
                if identity is not sent:
                    await self._still(service, context)
                    yield identity
                    sent = identity
                await changed.wait()
        finally:
            unsubscribe()

    async def _current(self, service: str, context: Context) -> Identity:
        return (await self._source(service, context)).current()

    async def _source(self, service: str, context: Context) -> IdentitySource:
        try:
            # The first identity may have to come from elsewhere, and be waited for.
            async with self._opening:
                return await asyncio.to_thread(self._sources, service)
        except CertsError as error:
            _log.error("no identity for %s: %s", service, error)
            await _refuse(
                context, grpc.StatusCode.UNAVAILABLE, f"{service} has no identity at the moment"
            )

    async def _service(self, context: Context) -> str:
        """The caller's service; ends the call of anybody else."""
        if HEADER not in (context.invocation_metadata() or ()):
            await _refuse(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                f"the metadata {HEADER[0]}: {HEADER[1]} is missing",
            )
        service = self._attested(context.peer())
        if service is None:
            await _refuse(
                context,
                grpc.StatusCode.PERMISSION_DENIED,
                "no identity: this process was not started by meshpact up",
            )
        return service

    async def _still(self, service: str, context: Context) -> None:
        """Ends the call when the caller has ended, whoever holds its connection now."""
        if await self._service(context) != service:
            await _refuse(
                context, grpc.StatusCode.PERMISSION_DENIED, "the caller is another process now"
            )


async def _refuse(context: Context, code: grpc.StatusCode, words: str) -> NoReturn:
    await context.abort(code, words)
    raise AssertionError("abort always raises")


def handlers(api: WorkloadApi) -> grpc.GenericRpcHandler:
    """The methods as gRPC takes them."""
    stream, unary = grpc.unary_stream_rpc_method_handler, grpc.unary_unary_rpc_method_handler
    table: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "FetchX509SVID": stream(
            api.fetch_x509_svid,
            proto.X509SVIDRequest.FromString,
            proto.X509SVIDResponse.SerializeToString,
        ),
        "FetchX509Bundles": stream(
            api.fetch_x509_bundles,
            proto.X509BundlesRequest.FromString,
            proto.X509BundlesResponse.SerializeToString,
        ),
        "FetchJWTSVID": unary(
            api.fetch_jwt_svid,
            proto.JWTSVIDRequest.FromString,
            proto.JWTSVIDResponse.SerializeToString,
        ),
        "FetchJWTBundles": stream(
            api.fetch_jwt_bundles,
            proto.JWTBundlesRequest.FromString,
            proto.JWTBundlesResponse.SerializeToString,
        ),
        "ValidateJWTSVID": unary(
            api.validate_jwt_svid,
            proto.ValidateJWTSVIDRequest.FromString,
            proto.ValidateJWTSVIDResponse.SerializeToString,
        ),
    }
    return grpc.method_handlers_generic_handler(proto.SERVICE, table)
