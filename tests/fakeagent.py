"""A SPIFFE Workload API for tests: a real gRPC server on a Unix socket, pushed by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import grpc
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from spiffe._proto import workload_pb2

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.svid import X509Svid

Response = workload_pb2.X509SVIDResponse


def response(
    svids: Sequence[X509Svid], own: TrustBundle, federated: Sequence[TrustBundle] = ()
) -> Response:
    """What FetchX509SVID answers for these SVIDs."""
    return Response(
        svids=[
            workload_pb2.X509SVID(
                spiffe_id=str(svid.id),
                x509_svid=b"".join(each.public_bytes(Encoding.DER) for each in svid.chain),
                x509_svid_key=load_pem_private_key(svid.key_pem, None).private_bytes(
                    Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
                ),
                bundle=_der(own),
            )
            for svid in svids
        ],
        federated_bundles={str(each.trust_domain): _der(each) for each in federated},
    )


def _der(bundle: TrustBundle) -> bytes:
    return b"".join(root.public_bytes(Encoding.DER) for root in bundle.roots)


class FakeAgent:
    """Serves on `socket` while the context lasts; streams what was pushed last, then each push."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.streams = 0
        self.metadata: list[Mapping[str, str]] = []
        self._changed = threading.Condition()
        self._response: Response | None = None
        self._refusal: grpc.StatusCode | None = None
        self._generation = 0
        self._server: grpc.Server | None = None

    @property
    def address(self) -> str:
        """As `identity.workload_api` takes it."""
        return f"unix://{self.socket}"

    def push(self, pushed: Response) -> None:
        """Sends to every stream, and to each that opens later."""
        with self._changed:
            self._response, self._refusal = pushed, None
            self._generation += 1
            self._changed.notify_all()

    def refuse(self, code: grpc.StatusCode) -> None:
        """Ends every stream with a status, and each that opens later."""
        with self._changed:
            self._refusal = code
            self._generation += 1
            self._changed.notify_all()

    def wait_for_streams(self, count: int) -> bool:
        """Whether that many streams were opened, within a minute."""
        with self._changed:
            return self._changed.wait_for(lambda: self.streams >= count, 60)

    def __enter__(self) -> FakeAgent:
        self._server = server = grpc.server(ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "SpiffeWorkloadAPI",
                    {
                        "FetchX509SVID": grpc.unary_stream_rpc_method_handler(
                            self._fetch,
                            workload_pb2.X509SVIDRequest.FromString,
                            Response.SerializeToString,
                        )
                    },
                ),
            )
        )
        server.add_insecure_port(f"unix:{self.socket}")
        server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the server and its streams."""
        if self._server is not None:
            server, self._server = self._server, None
            server.stop(None).wait()
            with self._changed:
                self._generation += 1
                self._changed.notify_all()

    def _fetch(
        self, _request: workload_pb2.X509SVIDRequest, context: grpc.ServicerContext
    ) -> Iterator[Response]:
        with self._changed:
            self.streams += 1
            self.metadata.append({k: str(v) for k, v in context.invocation_metadata()})
            self._changed.notify_all()
            seen = -1
        while True:
            with self._changed:
                while self._generation == seen:
                    self._changed.wait()
                seen, code, answer = self._generation, self._refusal, self._response
            if not context.is_active():
                return
            if code is not None:
                context.abort(code, "refused")
            if answer is not None:
                yield answer
