"""The contracts a process writes down: whole, in order, with the names that JSON has."""

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE
from acme.retail.store.v1.store_mesh import STORE_SERVICE
from meshpact.mesh.state import State
from meshpact.servers.contracts import combined, protoset, write_contracts


def names(files: FileDescriptorSet) -> list[str]:
    return [file.name for file in files.file]


def test_a_protoset_loads_in_its_order_and_has_the_services() -> None:
    pool = DescriptorPool()
    for file in protoset([INVENTORY_SERVICE]).file:
        pool.Add(file)
    assert "GetStock" in pool.FindServiceByName(INVENTORY_SERVICE.name).methods_by_name


def test_every_field_has_its_json_name() -> None:
    files = {file.name: file for file in protoset([INVENTORY_SERVICE]).file}
    (inventory,) = (file for name, file in files.items() if name.endswith("inventory.proto"))
    fields = [field for message in inventory.message_type for field in message.field]
    assert all(field.json_name for field in fields)
    assert "onHand" in {field.json_name for field in fields}


def test_together_each_file_stands_once_and_after_what_it_imports() -> None:
    both = combined([protoset([INVENTORY_SERVICE]), protoset([STORE_SERVICE])])
    found = names(both)
    assert len(found) == len(set(found))
    for file in both.file:
        assert all(found.index(name) < found.index(file.name) for name in file.dependency)


def test_what_is_written_is_a_file_descriptor_set(tmp_path: Path) -> None:
    state = State(tmp_path)
    write_contracts(state, "inventory", [INVENTORY_SERVICE])
    written = FileDescriptorSet.FromString((state.contracts / "inventory.binpb").read_bytes())
    assert names(written) == names(protoset([INVENTORY_SERVICE]))
