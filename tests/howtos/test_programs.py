"""Programs on pages that stand for themselves, run as they are printed."""

from pathlib import Path
from typing import Any

import httpx

from howtos.pages import blocks
from meshpact.certs.jwtauthority import JwtAuthority
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from upmesh import Up

DOMAIN = TrustDomain("acme.example")
ORDERS = SpiffeId.for_service(DOMAIN, "orders")
NOW = 1_800_000_000.0


def run(page: str, program: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(program, f"{page}.md", "exec"), names)
    return names


def test_a_jwt_svid_is_read_as_the_page_shows(tmp_path: Path) -> None:
    page = "identities-for-any-language"
    (program,) = blocks(page, "python")
    authority = JwtAuthority(tmp_path / "jwt", DOMAIN, NOW)
    token = authority.issue(ORDERS, ["pricing"], NOW).token
    assert run(page, program)["who"](token, authority.bundle.json, NOW) == str(ORDERS)


def test_pages_are_served_as_the_page_shows(tmp_path: Path) -> None:
    program, _ = blocks("serve-pages", "python")
    mesh, _ = blocks("serve-pages", "yaml")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "dashboard.py").write_text(program)
    (tmp_path / "mesh.yaml").write_text(mesh.replace("localhost:8712", "localhost:0"))
    with Up(tmp_path).ready() as up:
        origin = up.running.services["dashboard"][0].web
        assert httpx.get(f"{origin}/").text == "Here will be a dashboard."
