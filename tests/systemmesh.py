"""The project's own mesh.yaml for a test: in a folder of its own, its pages on other ports."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parent.parent
_PAGES: Final = re.compile(r"\blocalhost:(87[0-9]{2})\b")


@contextlib.contextmanager
def system_mesh(home: Path) -> Generator[Path]:
    """mesh.yaml in `home`, every `localhost:87xx` in it on a port that nobody else has.

    The ports are held (bound, not listened on) until the `with` ends.
    """
    text = (ROOT / "mesh.yaml").read_text()
    with contextlib.ExitStack() as held:
        ports = {number: str(hold(held)) for number in sorted(set(_PAGES.findall(text)))}
        path = home / "mesh.yaml"
        path.write_text(_PAGES.sub(lambda found: f"localhost:{ports[found[1]]}", text))
        yield path


def origins(mesh: Path, site: str) -> tuple[str, str]:
    """Where the pages of a service are, and where people sign in."""
    services = yaml.safe_load(mesh.read_text())["services"]
    found = [services[name]["web"]["address"] for name in (site, "identity")]
    return f"http://{found[0]}", f"http://{found[1]}"


def hold(held: contextlib.ExitStack | contextlib.AsyncExitStack) -> int:
    """A port that is free on every address of localhost, held until `held` ends."""
    places = socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)
    while True:
        port = 0
        taken: list[socket.socket] = []
        for family, kind, protocol, _, place in places:
            each = socket.socket(family, kind, protocol)
            taken.append(each)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                each.bind((place[0], port, *place[2:]))
            except OSError:
                break
            port = each.getsockname()[1]
        else:
            for each in taken:
                held.enter_context(each)
            return port
        for each in taken:
            each.close()
