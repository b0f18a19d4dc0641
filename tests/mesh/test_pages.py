"""A service's pages: served over HTTP in the process that serves its calls."""

import socket
import ssl
from pathlib import Path

import httpx
import pytest

from pagecertificate import page_certificate
from upmesh import MESH, Up, meshpact, write_mesh

PAGES = """\
import demoservice

async def create(context):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                told = await receive()
                await send({"type": told["type"] + ".complete"})
                if told["type"] == "lifespan.shutdown":
                    return
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": origin.encode(), "more_body": False})
        if scope["path"] == "/endless":
            await receive()

    origin = context.web_url
    await context.serve_web(app)
    return [demoservice.Demo()]
"""


def with_web(web: str) -> str:
    """The mesh whose service has pages."""
    return MESH.replace('factory: "toy:create"', f'factory: "toy:create", web: {web}')


def test_pages_are_served_and_where_is_said(tmp_path: Path) -> None:
    write_mesh(tmp_path, with_web('{address: "localhost:0"}'), PAGES)
    with Up(tmp_path).ready() as mesh:
        origin = mesh.running.services["alpha"][0].web
        assert f"open in a browser:\n  {origin}  alpha\n" in mesh.words
        assert origin.startswith("http://localhost:")
        answer = httpx.get(origin + "/")
        assert answer.text == origin
        assert "server" not in answer.headers
        code, _ = mesh.end()
    assert code == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(origin)


def test_every_address_of_localhost_gets_the_same_port(tmp_path: Path) -> None:
    write_mesh(tmp_path, with_web('{address: "localhost:0"}'), PAGES)
    with Up(tmp_path).ready() as mesh:
        port = int(mesh.running.services["alpha"][0].web.rpartition(":")[2])
        found = {
            place[0] for *_, place in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)
        }
        for host in found:
            shown = f"[{host}]" if ":" in str(host) else host
            assert httpx.get(f"http://{shown}:{port}/").status_code == 200


def test_pages_with_a_certificate_are_served_over_tls(tmp_path: Path) -> None:
    certificate, key = page_certificate(tmp_path)
    web = f'{{address: "127.0.0.1:0", certificate: {certificate.name}, key: {key.name}}}'
    write_mesh(tmp_path, with_web(web), PAGES)
    with Up(tmp_path).ready() as mesh:
        origin = mesh.running.services["alpha"][0].web
        assert origin.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(certificate))
        assert httpx.get(origin, verify=trust).text == origin


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    certificate, key = page_certificate(tmp_path)
    key.chmod(0o644)
    web = f'{{address: "127.0.0.1:0", certificate: {certificate.name}, key: {key.name}}}'
    write_mesh(tmp_path, with_web(web), PAGES)
    refused = meshpact(tmp_path, "up", "--for", "0")
    assert refused.returncode == 1
    assert f"chmod 600 {key}" in refused.stderr


def test_an_origin_is_what_browsers_see(tmp_path: Path) -> None:
    web = '{address: "127.0.0.1:0", origin: "https://shop.example"}'
    write_mesh(tmp_path, with_web(web), PAGES)
    with Up(tmp_path).ready() as mesh:
        assert mesh.running.services["alpha"][0].web == "https://shop.example"


def test_a_taken_address_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        write_mesh(tmp_path, with_web(f'{{address: "{address}"}}'), PAGES)
        refused = meshpact(tmp_path, "up", "--for", "0")
    assert refused.returncode == 1
    assert f"{address}, where the web server of alpha is to listen, is taken" in refused.stderr


def test_an_application_that_cannot_start_ends_its_service(tmp_path: Path) -> None:
    broken = PAGES.replace('told["type"] + ".complete"', '"lifespan.startup.failed"')
    write_mesh(tmp_path, with_web('{address: "127.0.0.1:0"}'), broken)
    refused = meshpact(tmp_path, "up", "--for", "0")
    assert refused.returncode == 1
    assert "the web server of alpha did not start: the application's own start-up" in refused.stderr


def test_pages_without_an_address_are_refused_with_the_key_to_add(tmp_path: Path) -> None:
    write_mesh(tmp_path, MESH, PAGES)
    refused = meshpact(tmp_path, "up", "--for", "0")
    assert refused.returncode == 1
    assert "services.alpha.web is missing in mesh.yaml" in refused.stderr


@pytest.mark.parametrize(
    ("web", "words"),
    [
        ('{address: "0.0.0.0:8080"}', "plain HTTP to this machine only"),
        ('{address: "shop.example:8080"}', "plain HTTP to this machine only"),
        ('{address: "8080"}', "host:port"),
        ('{address: "127.0.0.1:0", certificate: web.pem}', "the key key is missing"),
        ('{address: "127.0.0.1:0", origin: "https://shop.example/path"}', "without a path"),
        ('{address: "127.0.0.1:0", origin: "http://shop.example"}', "https://HOST"),
        ("{}", "address"),
    ],
)
def test_a_faulty_web_is_named_with_its_line(tmp_path: Path, web: str, words: str) -> None:
    write_mesh(tmp_path, with_web(web), PAGES)
    refused = meshpact(tmp_path, "up", "--for", "0")
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "mesh.yaml:3" in refused.stderr
