"""A contract that imports all of Google's shared types, and code that uses what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import contractfiles
from contractfiles import WHOLE

_PROTO: Final = """\
syntax = "proto3";
package prices.v1;
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
USE: Final = """\
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
from prices.v1.prices_mesh import PricesBase, PricesClient
from prices.v1.prices_pb2 import PriceRequest, PriceResponse


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
"""A module that mypy and pyright must find nothing in."""


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


def write(root: Path) -> Path:
    """Writes the contract, prices/v1/prices.proto, below a folder."""
    imports = [
        *installed(),
        *(f"google/protobuf/{name}.proto" for name in ("duration", "field_mask", "timestamp")),
        "meshpact/policy/v1/policy.proto",
    ]
    text = _PROTO % ("".join(f'import "{name}";\n' for name in imports), WHOLE)
    return contractfiles.write(root, {"prices/v1/prices.proto": text})
