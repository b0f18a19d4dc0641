"""The types of Google's that contracts share: imported without vendoring, typed, and loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import contractfiles
import typechecks
from contractfiles import WHOLE
from meshpact.contracts.faults import ContractsError
from meshpact.contracts.generate import generate

PROTO = """\
syntax = "proto3";
package shop.v1;
%s
message PriceRequest {
  google.type.Money price = 1;
  google.protobuf.Timestamp create_time = 2;
  google.protobuf.FieldMask update_mask = 3;
  google.protobuf.Duration ttl = 4;
  google.type.Date day = 5;
  google.type.PostalAddress address = 6;
  google.type.Interval interval = 7;
  google.type.Decimal weight = 8;
  map<string, google.type.Money> prices = 9;
  repeated google.type.Money parts = 10;
  google.longrunning.Operation import = 11;
}
message PriceResponse { google.type.Money total = 1; }
service Prices {
  option (meshpact.policy.v1.service) = { %s };
  rpc Total(PriceRequest) returns (PriceResponse);
  rpc Round(google.type.Money) returns (google.longrunning.Operation);
  rpc Watch(stream google.type.Date) returns (stream google.rpc.Status);
}
"""
USE = """\
from collections.abc import AsyncIterator
from datetime import datetime
from typing import assert_type

from google.longrunning.operations_pb2 import Operation
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from meshpact.interceptors.call import Call
from shop.v1.shop_mesh import PricesBase, PricesClient
from shop.v1.shop_pb2 import PriceRequest, PriceResponse


class Prices(PricesBase):
    async def total(self, request: PriceRequest, call: Call, /) -> PriceResponse:
        assert_type(request.price.units, int)
        assert_type(request.create_time.ToDatetime(), datetime)
        assert_type(request.prices["EUR"].nanos, int)
        assert_type(request.address.region_code, str)
        assert_type(list(request.update_mask.paths), list[str])
        return PriceResponse(total=Money(currency_code="EUR", units=1))

    async def round(self, request: Money, call: Call, /) -> Operation:
        return Operation(name=request.currency_code)

    async def watch(self, requests: AsyncIterator[Date], call: Call, /) -> AsyncIterator[Status]:
        async for day in requests:
            yield Status(code=day.year)


async def use(client: PricesClient) -> None:
    assert_type(await client.round(Money(units=1)), Operation)
    await client.total(
        PriceRequest(
            price=Money(units=1),
            create_time=Timestamp(seconds=1),
            update_mask=FieldMask(paths=["price"]),
            ttl=Duration(seconds=1),
            prices={"EUR": Money(units=1)},
            parts=[Money(units=1)],
            day=Date(year=2026, month=2, day=28),
        )
    )
"""


def installed() -> list[str]:
    """What googleapis-common-protos holds for contracts to import, by the names it loads under."""
    import google.rpc.status_pb2

    root = Path(google.rpc.status_pb2.__file__).parents[2]
    found = [
        path.relative_to(root).as_posix()
        for folder in ("api", "rpc", "type", "longrunning")
        for path in (root / "google" / folder).rglob("*.proto")
    ]
    return sorted(name.replace("operations_proto.proto", "operations.proto") for name in found)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is generated from a contract that imports all of them, and code that uses it."""
    folder = tmp_path_factory.mktemp("google")
    imports = [
        *installed(),
        *(f"google/protobuf/{name}.proto" for name in ("duration", "field_mask", "timestamp")),
        "meshpact/policy/v1/policy.proto",
    ]
    text = PROTO % ("".join(f'import "{name}";\n' for name in imports), WHOLE)
    contractfiles.write(folder / "protos", {"shop/v1/shop.proto": text})
    generate([folder / "protos"], folder / "generated")
    (folder / "generated" / "use.py").write_text(USE)
    return folder / "generated"


def test_each_that_is_installed_loads(generated: Path) -> None:
    assert len(installed()) > 50
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import use"],
        cwd=generated,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]


def test_mypy_strict_knows_their_types(generated: Path, tmp_path: Path) -> None:
    typechecks.mypy(generated, tmp_path)


def test_pyright_strict_knows_their_types(generated: Path) -> None:
    typechecks.pyright(generated)


def test_the_name_that_its_package_gives_to_longrunning_is_refused(tmp_path: Path) -> None:
    text = 'syntax = "proto3";\nimport "google/longrunning/operations_proto.proto";\n'
    contractfiles.write(tmp_path, {"a.proto": text})
    with pytest.raises(ContractsError) as caught:
        generate([tmp_path], tmp_path / "out")
    (fault,) = caught.value.faults
    assert (fault.place.line, fault.remedy) == (
        2,
        'import "google/longrunning/operations.proto" in its place',
    )
