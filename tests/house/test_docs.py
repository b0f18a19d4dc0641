"""What the pages say is so: links lead somewhere, examples are taken, tables match the code."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from meshpact.contracts.generate import generate
from meshpact.interceptors import errors
from meshpact.interceptors.errors import Reason
from meshpact.mesh import config
from meshpact.mesh.state import State

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=lambda page: str(page.relative_to(ROOT))
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(#[^)]*)?\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return [body for name, body in BLOCK.findall(text) if name == language]


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target, _ in LINK.findall(page.read_text())]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_readme_lists_every_how_to() -> None:
    linked = {target for target, _ in LINK.findall((ROOT / "README.md").read_text())}
    pages = {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/how-to/*.md")}
    assert pages - linked == set()


@each_page
def test_python_examples_parse_and_import_what_there_is(page: Path) -> None:
    for example in blocks(str(page.relative_to(ROOT)), "python"):
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("meshpact."):
                module = importlib.import_module(str(node.module))
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@each_page
def test_modules_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`(meshpact(?:\.[a-z_]+)+)\.[A-Z]\w+`", page.read_text()):
        importlib.import_module(name)


@each_page
def test_no_output_is_left_to_be_filled_in(page: Path) -> None:
    assert "<!-- output" not in page.read_text()


def test_the_table_of_reasons_is_that_of_the_code() -> None:
    table = (ROOT / "docs/architecture.md").read_text().partition("### Reasons")[2]
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", table, re.MULTILINE)
    written = {
        (reason, code) for code, reasons in rows for reason in re.findall(r"`([A-Z_]+)`", reasons)
    }
    coded = {(r.name, r.code.name) for r in vars(errors).values() if isinstance(r, Reason)}
    assert written == coded


def test_the_files_of_a_state_are_those_of_the_code() -> None:
    state = State(Path(".meshpact"))
    page = (ROOT / "docs/architecture.md").read_text()
    paths = [state.lock_file, state.ca, state.trust, state.identities, state.issuer]
    for path in [*paths, state.mesh_file, state.logs, state.audit]:
        assert f"`{path.relative_to(state.root)}" in page


def test_the_contract_of_the_how_to_generates(tmp_path: Path) -> None:
    (contract,) = blocks("docs/how-to/write-a-contract.md", "proto")
    source = tmp_path / "protos/acme/greetings/v1/greetings.proto"
    source.parent.mkdir(parents=True)
    source.write_text(contract)
    out = tmp_path / "generated"
    generate([tmp_path / "protos"], out)
    made = (out / "acme/greetings/v1/greetings_mesh.py").read_text()
    (example,) = blocks("docs/how-to/write-a-contract.md", "python")
    for name in ("GreetingServiceBase", "GreetingServiceClientSync", "Nobody"):
        assert f"class {name}" in made
    for method in re.findall(r"async def (\w+_\w+)", example):
        assert f"async def {method}(" in made


def test_the_mesh_yaml_of_the_how_to_loads(tmp_path: Path) -> None:
    (text,) = blocks("docs/how-to/grant-a-role.md", "yaml")
    file = tmp_path / "mesh.yaml"
    file.write_text(text)
    assert set(config.load(file).roles) == {"orders.reader", "orders.writer", "orders.auditor"}
