"""Names that Python or the generated module cannot have are told; keywords get an underscore."""

from __future__ import annotations

from pathlib import Path

import pytest

import contractfiles
from contractfiles import ERRORS, WHOLE, service
from meshpact.contracts import names
from meshpact.contracts.check import check
from meshpact.contracts.faults import ContractsError, Fault
from meshpact.contracts.image import compile_image
from meshpact.contracts.model import Contracts


def faults(root: Path) -> tuple[Fault, ...]:
    """Every fault that the contracts below a root have."""
    with pytest.raises(ContractsError) as caught:
        check(Contracts(compile_image([root])))
    return caught.value.faults


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ReserveStock", "reserve_stock"),
        ("GetURL", "get_url"),
        ("WhoAmI", "who_am_i"),
        ("GetHTTPStatus", "get_http_status"),
        ("ListV2Items", "list_v2_items"),
        ("already_snake", "already_snake"),
        ("X", "x"),
    ],
)
def test_a_method_is_called_in_snake_case(name: str, expected: str) -> None:
    assert names.snake(name) == expected


@pytest.mark.parametrize("name", ["import", "class", "None", "async", "from"])
def test_a_keyword_gets_an_underscore(name: str) -> None:
    assert names.safe(name) == name + "_"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("_x", "x"), ("__init__", "init__"), ("__", "m__"), ("_1", "m_1"), ("__class__", "class__")],
)
def test_underscores_before_a_method_are_dropped(name: str, expected: str) -> None:
    assert names.attribute(name) == expected


def test_imports_are_in_the_order_of_isort() -> None:
    modules = ["a.v1.types.x", "a.v10.b", "a.v9.b", "b_pb2", "a.v1.y", "a.v1.X"]
    assert sorted(modules, key=names.import_order) == [
        "b_pb2",
        "a.v1.X",
        "a.v1.y",
        "a.v1.types.x",
        "a.v9.b",
        "a.v10.b",
    ]


@pytest.mark.parametrize("path", ["shop/import/v1/a.proto", "shop/v-1/a.proto", "1shop/a.proto"])
def test_a_path_that_python_cannot_import_is_told(path: str, tmp_path: Path) -> None:
    contractfiles.write(tmp_path, {path: 'syntax = "proto3";'})
    if path == "shop/v-1/a.proto":  # protoc writes an underscore for a dash
        check(Contracts(compile_image([tmp_path])))
        return
    (fault,) = faults(tmp_path)
    assert fault.place.file == str(tmp_path / path)
    assert fault.message.endswith("in the path of the contract is no name of a Python module")


def test_two_methods_with_one_python_name_are_told(tmp_path: Path) -> None:
    second = "  @@rpc GetURL(GetRequest) returns (GetResponse);\n}\n"
    body = service("", WHOLE).replace("rpc Get(", "rpc GetUrl(").rstrip().removesuffix("}")
    file, line, column = contractfiles.contract(tmp_path, body + second)
    found = faults(tmp_path)
    assert {(f.place.file, f.place.line, f.place.column) for f in found} == {
        (str(file), line, column)
    }
    assert "its generated name get_url is that of shop.v1.Shop/GetUrl too" in {
        f.message for f in found
    }


def test_two_errors_of_a_file_with_one_class_name_are_told(tmp_path: Path) -> None:
    other = ERRORS.replace("ShopError", "OtherError").replace("SHOP_", "@@OTHER_", 2)
    other = other.replace("@@OTHER_ERROR_UNSPECIFIED", "OTHER_ERROR_UNSPECIFIED")
    _, line, column = contractfiles.contract(tmp_path, ERRORS + other)
    (fault,) = faults(tmp_path)
    assert (fault.place.line, fault.place.column) == (line, column)
    assert fault.message == (
        "its generated name NotFound is that of shop.v1.SHOP_ERROR_NOT_FOUND too"
    )


def test_an_error_class_and_a_service_class_with_one_name_are_told(tmp_path: Path) -> None:
    errors = ERRORS.replace("NOT_FOUND =", "SHOP_BASE =")
    contractfiles.contract(tmp_path, errors + service())
    assert [f.message for f in faults(tmp_path)] == [
        "its generated name ShopBase is that of shop.v1.SHOP_ERROR_SHOP_BASE too"
    ]


def test_files_that_list_errors_of_each_other_are_told(tmp_path: Path) -> None:
    for mine, other in (("a", "b"), ("b", "a")):
        errors = ERRORS.replace("ShopError", f"{mine.upper()}Error")
        errors = errors.replace("SHOP_", f"{mine.upper()}_")
        body = errors + service(f'errors: "{other}.v1.{other.upper()}_ERROR_NOT_FOUND"')
        text = (contractfiles.HEAD + body).replace("shop.v1", f"{mine}.v1")
        contractfiles.write(tmp_path, {f"{mine}/v1/{mine}.proto": text})
    (fault,) = faults(tmp_path)
    assert (
        fault.message == "the services of a/v1/a.proto and b/v1/b.proto list errors of each other"
    )


def test_an_error_class_named_like_an_import_of_the_module_is_told(tmp_path: Path) -> None:
    contractfiles.contract(tmp_path, ERRORS.replace("NOT_FOUND =", "ASYNC_ITERATOR ="))
    assert [f.message for f in faults(tmp_path)] == [
        "its generated name AsyncIterator is that of what every generated module imports too"
    ]


def test_metadata_keys_with_one_python_name_are_told(tmp_path: Path) -> None:
    keys = 'metadata: [@@"class", "class_", "name"]'
    _, line, column = contractfiles.contract(tmp_path, ERRORS.replace('metadata: "name"', keys))
    (fault,) = faults(tmp_path)
    assert (fault.place.line, fault.place.column) == (line, column)
    assert fault.message == "the metadata keys 'class' and 'class_' get one Python name, class_"
