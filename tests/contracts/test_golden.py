"""What comes out of the hardest contract imports, has every shape, and says the policy."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
MESH = "zoo/animals/v1/animal_house_mesh.py"

_LOOK = """
import inspect, json
from zoo.animals.v1 import animal_house_mesh as m
from zoo.faults.v1 import faults_mesh as f
from google.type import money_pb2
from google.rpc import status_pb2
def signatures(kind):
    return {n: str(inspect.signature(v)) for n, v in vars(kind).items()
            if not n.startswith("_") and callable(v)}
error = f.GateClosed(from_=1, reason_="r", class_="c", self_="s",
                     a_rather_long_key_that_takes_room=2, property_=3, str_=4, super_=5)
spec = m.ANIMAL_SERVICE_IMPORT
print(json.dumps({
    "paths": [s.path for s in (*m.ANIMAL_SERVICE.methods, *m.KEEPER_SERVICE.methods)],
    "attributes": [s.attribute for s in (*m.ANIMAL_SERVICE.methods, *m.KEEPER_SERVICE.methods)],
    "shapes": [[s.request_streaming, s.response_streaming] for s in m.ANIMAL_SERVICE.methods],
    "errors": [e.__name__ for e in spec.errors],
    "types": [spec.request.DESCRIPTOR.full_name, spec.response.DESCRIPTOR.full_name],
    "base": signatures(m.AnimalServiceBase),
    "base_sync": signatures(m.AnimalServiceBaseSync),
    "client": signatures(m.AnimalServiceClient),
    "client_sync": signatures(m.AnimalServiceClientSync),
    "abstract": sorted(m.AnimalServiceBase.__abstractmethods__),
    "asynchronous": [n for n in m.AnimalServiceBase.__abstractmethods__
                     if inspect.iscoroutinefunction(getattr(m.AnimalServiceBase, n))],
    "message": str(error), "metadata": dict(error.metadata), "from": error.from_,
    "doc": inspect.getdoc(m.AnimalServiceClient.import_),
    "spec": m.KeeperServiceBaseSync.SPEC is m.KEEPER_SERVICE,
    "empty": m.EMPTY_SERVICE.methods,
}))
"""


@pytest.fixture(scope="module")
def seen(golden: Path) -> dict[str, Any]:
    """What a fresh process sees of the generated modules."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _LOOK],
        env={**os.environ, "PYTHONPATH": str(golden)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_methods_keep_their_names_on_the_wire(seen: dict[str, Any]) -> None:
    animals, keepers = "/zoo.animals.v1.AnimalService", "/zoo.animals.v1.KeeperService"
    assert seen["paths"] == [
        f"{animals}/Import",
        f"{animals}/Class",
        f"{animals}/GetHTTPStatus2",
        f"{animals}/From",
        f"{keepers}/Import",
        f"{keepers}/Abc",
        f"{keepers}/Str",
        f"{keepers}/List",
    ]


def test_methods_whose_names_python_needs_get_an_underscore(seen: dict[str, Any]) -> None:
    animals = ["import_", "class_", "get_http_status2", "from_"]
    assert seen["attributes"] == [*animals, "import_", "abc_", "str_", "list"]


def test_every_shape_has_its_signature(seen: dict[str, Any]) -> None:
    assert seen["shapes"] == [[False, False], [False, True], [True, False], [True, True]]
    animal, empty = "_pb.House.Room.Animal", "_google_protobuf_empty_pb2.Empty"
    arrival = "_pb.ImportRequest"
    for kind, prefix in (("base", "Async"), ("base_sync", "")):
        call = "call: '_server.Call', /"
        assert seen[kind] == {
            "import_": f"(self, request: '{arrival}', {call}) -> '{animal}'",
            "class_": f"(self, request: '{empty}', {call}) -> '{prefix}Iterator[{animal}]'",
            "get_http_status2": f"(self, requests: '{prefix}Iterator[{arrival}]', {call})"
            f" -> '{empty}'",
            "from_": f"(self, requests: '{prefix}Iterator[{arrival}]', {call})"
            f" -> '{prefix}Iterator[{empty}]'",
        }
    for kind, prefix in (("client", "Async"), ("client_sync", "")):
        options = (
            "*, timeout: 'float | None' = None, metadata: '_client.Metadata' = (), "
            "token: 'str' = ''"
        )
        assert seen[kind] == {
            "import_": f"(self, request: '{arrival}', {options}) -> '{animal}'",
            "class_": f"(self, request: '{empty}', {options}) -> '{prefix}Iterator[{animal}]'",
            "get_http_status2": f"(self, requests: '{prefix}Iterable[{arrival}]', {options})"
            f" -> '{empty}'",
            "from_": f"(self, requests: '{prefix}Iterable[{arrival}]', {options})"
            f" -> '{prefix}Iterator[{empty}]'",
        }
    assert seen["abstract"] == ["class_", "from_", "get_http_status2", "import_"]
    assert sorted(seen["asynchronous"]) == ["get_http_status2", "import_"]


def test_types_may_be_nested_or_of_other_packages(seen: dict[str, Any]) -> None:
    assert seen["types"] == ["zoo.animals.v1.ImportRequest", "zoo.animals.v1.House.Room.Animal"]


def test_errors_of_enums_inside_messages_and_of_other_packages_are_listed(
    seen: dict[str, Any],
) -> None:
    assert seen["errors"] == ["NotFound", "GateClosed"]


def test_an_error_renders_its_message_from_metadata_of_any_name(seen: dict[str, Any]) -> None:
    assert seen["message"].startswith('The gate 1 is "shut" {until} r; this is a long message')
    assert seen["metadata"] == {
        "from": "1",
        "reason": "r",
        "class": "c",
        "self": "s",
        "a_rather_long_key_that_takes_room": "2",
        "property": "3",
        "str": "4",
        "super": "5",
    }
    assert seen["from"] == "1"


def test_docstrings_say_the_policy_in_words(seen: dict[str, Any]) -> None:
    assert seen["doc"] == (
        "Brings an animal in.\n\n"
        "Who may call: Callers where the workload or its end user holds one of the roles "
        "zoo.keeper,\n  zoo.vet.\n"
        "End user: A valid access token is required, for the audience https://zoo.example.\n"
        "Scopes: The token carries animals.read.\n"
        "Deadline: 500 ms unless the caller sets one; 2 s at most.\n"
        "Rate: 1 call a second for each end user; 1 at once after a pause.\n"
        "At once: 3 calls in one process at most.\n"
        "Calling again: Idempotent: calling again does nothing more. Clients try 3 times in all "
        "when\n  nothing answered.\n"
        "Errors: NotFound, GateClosed."
    )


def test_a_service_may_have_no_method(seen: dict[str, Any]) -> None:
    assert seen["empty"] == []
    assert seen["spec"] is True


def test_generated_modules_import_the_doors_of_meshpact_and_messages_alone(golden: Path) -> None:
    doors = {"meshpact.clients.codegen", "meshpact.servers.codegen"}
    for path in golden.rglob("*_mesh.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                for name in node.names:
                    module = f"{node.module}.{name.name}"
                    assert (
                        module in doors
                        or name.name.endswith(("_pb2", "_mesh"))
                        or node.module in ("__future__", "collections.abc", "typing")
                    ), module
            elif isinstance(node, ast.Import):
                assert [name.name for name in node.names] == ["abc"]


def test_what_is_stated_as_the_oldest_protobuf_can_load_the_messages(golden: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (floor,) = [d for d in project["dependencies"] if d.startswith("protobuf>=")]
    oldest = tuple(map(int, floor.removeprefix("protobuf>=").split(".")))
    for path in golden.rglob("*_pb2.py"):
        found = re.search(r"Domain\.PUBLIC,\s+(\d+),\s+(\d+),", path.read_text())
        assert found is not None
        assert (int(found[1]), int(found[2])) <= oldest, path
