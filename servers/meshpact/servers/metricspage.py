"""The page that Prometheus reads: plain HTTP, a listener and thread of its own, metrics only."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, start_http_server

from meshpact.servers import address as addresses


class MetricsPage:
    """Serves a registry at `host:port` until it is closed; nothing for an empty address.

    Raises ServerError when the address cannot be had.
    """

    def __init__(self, registry: CollectorRegistry, address: str) -> None:
        self.address = ""
        """Where it is served, with the port that was bound; "" for nowhere."""
        self._server = None
        if not address:
            return
        addresses.check(address, "the metrics page")
        host, port = addresses.split(address)
        self._server, self._thread = start_http_server(port, host, registry)
        self.address = addresses.joined(address, self._server.server_port)

    def close(self) -> None:
        """Ends the listener and its thread."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None
