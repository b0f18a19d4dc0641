"""A workload of another trust domain calls, by the program and commands of the page."""

from pathlib import Path

from howtos.pages import blocks
from meshpact.mesh.state import State
from upmesh import Up, meshpact

CALLS = """

async def create(context: ServiceContext) -> list[object]:
    from acme.greetings.v1.greetings_pb2 import GetGreetingRequest

    answer = await greetings(context, "ADDRESS").get_greeting(GetGreetingRequest(name="Ada"))
    context.tell(answer.greeting)
    return []
"""


HOME = """\
trust_domain: acme.example
services:
  greetings: {factory: "greetings:create"}
roles:
  greetings.reader: {workloads: ["spiffe://partner.example/shop"]}
federation:
  partner.example: {bundle: partner.example.json}
"""
GUEST = """\
trust_domain: partner.example
services:
  shop: {factory: "shop:create"}
federation:
  acme.example: {bundle: acme.example.json}
"""


def test_a_workload_of_another_domain_calls_as_the_page_shows(tmp_path: Path) -> None:
    (contract,) = blocks("write-a-contract", "proto")
    handler, *_ = blocks("start-a-project", "python")
    (program,) = blocks("federate", "python")
    (publish,) = [each for each in blocks("federate", "") if "certs bundle" in each]
    home, guest = tmp_path / "home", tmp_path / "guest"
    for path, text in {
        home / "protos/acme/greetings/v1/greetings.proto": contract,
        home / "greetings.py": handler,
        home / "mesh.yaml": HOME,
        guest / "mesh.yaml": GUEST,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert meshpact(home, "generate").returncode == 0
    (guest / "generated").symlink_to(home / "generated")
    assert publish == "meshpact certs bundle > acme.example.json\n"
    for folder, domain, reader in (
        (home, "acme.example", guest),
        (guest, "partner.example", home),
    ):
        assert meshpact(folder, "certs", "init", "--trust-domain", domain).returncode == 0
        (reader / f"{domain}.json").write_text(meshpact(folder, "certs", "bundle").stdout)
    with Up(home).ready():
        running = State(home / ".meshpact").read_running()
        assert running is not None
        address = running.services["greetings"][0].address
        (guest / "shop.py").write_text(program + CALLS.replace("ADDRESS", address))
        with Up(guest) as up:
            up.until("shop: Hello, Ada!")
