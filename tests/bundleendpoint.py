"""An https endpoint for bundle documents, as a federated trust domain runs one; for tests."""

from __future__ import annotations

import http.server
import ssl
import tempfile
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType

import forgedcerts as forged
from meshpact.certs.profile import Signer

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def document(data: bytes) -> Answer:
    """Answers with a document."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(HTTPStatus.OK)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


class BundleEndpoint:
    """Serves while the context lasts; `answer` says what, and may be changed."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests = 0
        self.root = forged.root("web.example")
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.requests += 1
                endpoint.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        context = _context(self.root)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/bundle"

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client needs to trust it."""
        return ssl.create_default_context(cadata=forged.pem(self.root.certificate).decode())

    def __enter__(self) -> BundleEndpoint:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _context(root: Signer) -> ssl.SSLContext:
    key = forged.new_key()
    leaf = forged.leaf(root, uris=[], dns=["localhost"], key=key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.pem")
        path.write_bytes(forged.key_pem(key) + forged.pem(leaf))
        context.load_cert_chain(path)
    return context
