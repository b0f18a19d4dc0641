"""What processes in other languages tell a test: a JSON object a line, on a Unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

Report = dict[str, Any]


class Reports:
    """Listens on a Unix socket and keeps every line, in the order of arrival; `close` it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._said: list[Report] = []
        self._news = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def wait(
        self, who: str, event: str, holds: Callable[[Report], bool] = bool, since: int = 0
    ) -> Report:
        """The first such report after the first `since`, waited for; AssertionError after 30 s."""

        def first() -> Report | None:
            return next(filter(holds, self.of(who, event, since)), None)

        with self._news:
            found = self._news.wait_for(first, 60)
            assert found is not None, (
                f"{who} never said the {event} waited for; its last words: {self.of(who)[-5:]}"
            )
            return found

    def of(self, who: str, event: str = "", since: int = 0) -> list[Report]:
        """All that one has said after the first `since` reports of all."""
        return [
            report
            for report in self._said[since:]
            if report["who"] == who and event in ("", report["event"])
        ]

    def mark(self) -> int:
        """How many reports there are by now."""
        return len(self._said)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with connection, connection.makefile() as lines:
            for line in lines:
                report = cast("Report", json.loads(line))
                with self._news:
                    self._said.append(report)
                    self._news.notify_all()
