"""An issuer that exchanges tokens (RFC 8693), and can be told to answer in other ways."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import KeySet

from meshpact.clients.exchange import TokenExchange
from meshpact.clients.exchangewire import ACCESS_TOKEN, GRANT, Endpoint
from meshpact.testing.tokens import TokenIssuer

CLIENT, SECRET = "the mesh", "s3cr:t &%"


class ExchangingIssuer:
    """A real HTTP server on the loopback address, over a TokenIssuer.

    `asked` are the audiences it was asked for. `answer` is (status, body) to send instead of a
    token; while `gate` is not set, answers wait.
    """

    def __init__(self, issuer: TokenIssuer) -> None:
        self.issuer = issuer
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.answer: tuple[int, bytes] | None = None
        self.expires_in: float | None = 600
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer._post(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def __enter__(self) -> ExchangingIssuer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def exchange(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> TokenExchange:
        """What a process of the mesh exchanges its users' tokens with."""
        secret = folder / "client-secret"
        secret.write_text(f"{SECRET}\n")
        secret.chmod(0o600)
        return TokenExchange({self.issuer.name: Endpoint(self.url, CLIENT, secret)}, clock=clock)

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        form = parse_qs(request.rfile.read(int(request.headers["content-length"])).decode())
        given = {name: values[0] for name, values in form.items()}
        self.asked.append(given["audience"])
        self.arrived.set()
        self._check(given, request.headers.get("authorization", ""))
        self.gate.wait(30)
        status, body = self.answer or (200, self._token(given))
        try:
            request.send_response(status)
            if status in range(300, 400):
                request.send_header("location", self.url)
            request.send_header("content-type", "application/json")
            request.send_header("content-length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            pass  # whoever asked has gone

    def _check(self, given: dict[str, str], authorization: str) -> None:
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        client, _, secret = pair.partition(":")
        if (unquote_plus(client), unquote_plus(secret)) != (CLIENT, SECRET):
            self.faults.append("the client did not say who it is")
        if (given["grant_type"], given["subject_token_type"]) != (GRANT, ACCESS_TOKEN):
            self.faults.append("this is no request of RFC 8693")

    def _token(self, given: dict[str, str]) -> bytes:
        keys = KeySet.import_key_set(json.loads(self.issuer.jwks))
        subject = jwt.decode(given["subject_token"], keys, algorithms=["ES256"]).claims
        answer: dict[str, object] = {
            "access_token": self.issuer.mint(
                subject["sub"],
                audience=[given["audience"]],
                scopes=subject["scope"].split(" "),
                claims={"act": {"sub": CLIENT}},
            ),
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
        }
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return json.dumps(answer).encode()
