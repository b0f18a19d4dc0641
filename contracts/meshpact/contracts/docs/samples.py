"""One value for one field of an example: what its rules allow, and if possible what people expect.

Values are the same in every run: an example never hangs on the time or on chance.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from meshpact.contracts.docs.patterns import matching
from meshpact.contracts.docs.re2 import matches

_UUID: Final = "3f2b8c1e-9a4d-4e6f-8b7a-5c0d1e2f3a{:02x}"
_FORMATS: Final = {
    "email": "ada{n}@example.com",
    "hostname": "host{n}.example.com",
    "ip": "192.0.2.{m}",
    "ipv4": "192.0.2.{m}",
    "ipv6": "2001:db8::{m}",
    "uri": "https://example.com/{m}",
    "uri_ref": "/path/{m}",
    "address": "host{n}.example.com",
    "ip_with_prefixlen": "192.0.2.{m}/24",
    "ipv4_with_prefixlen": "192.0.2.{m}/24",
    "ipv6_with_prefixlen": "2001:db8::{m}/64",
    "ip_prefix": "192.0.2.0/24",
    "ipv4_prefix": "192.0.2.0/24",
    "ipv6_prefix": "2001:db8::/64",
    "host_and_port": "host{n}.example.com:443",
    "ulid": "01J5K3V8XQ4M7N2P6R9S0T1W{m:02d}",
    "tuuid": "3f2b8c1e9a4d4e6f8b7a5c0d1e2f3a{m:02d}",
    "protobuf_fqn": "example.v1.Name{n}",
    "protobuf_dot_fqn": ".example.v1.Name{n}",
}
_HEADERS: Final = {1: "x-example", 2: "example"}
_NAMES: Final = {
    "country": "United Kingdom",
    "country_code": "GB",
    "region_code": "GB",
    "currency": "EUR",
    "currency_code": "EUR",
    "language_code": "en",
    "time_zone": "Europe/Berlin",
    "email": "ada@example.com",
    "url": "https://example.com/",
    "uri": "https://example.com/",
    "phone": "+441632960000",
    "city": "London",
    "title": "Example",
    "description": "An example",
    "next_page_token": "CAo",
}
_NUMBERS: Final = {
    "page_size": 20,
    "minor_units": 1250,
    "nanos": 0,
    "quantity": 2,
    "latitude": 51.5,
    "longitude": -0.12,
}
_LENGTHS: Final = ("min_len", "max_len", "len", "min_bytes", "max_bytes", "len_bytes")


def text(field: FieldDescriptor, rules: Any, number: int = 0) -> str:
    """A text for a field. `rules` are StringRules or None; `number` tells items of a list apart."""
    usual = _usual_text(field.name)
    if number and not usual.endswith("}"):
        usual = f"{usual} {number + 1}"
    if rules is None:
        return usual
    if chosen := _stated(rules, number):
        return str(chosen)
    kind = rules.WhichOneof("well_known")
    if kind == "uuid":
        return _UUID.format(number)
    if kind == "well_known_regex":
        return _HEADERS.get(rules.well_known_regex, "example")
    if kind is not None:
        return _FORMATS.get(kind, usual).format(n=number or "", m=number + 1)
    least, most = _length(rules)
    if rules.HasField("pattern"):
        known = usual != field.name.replace("_", " ")
        if known and matches(rules.pattern, usual) and least <= len(usual) <= most:
            return usual
        return matching(rules.pattern, least, most) or usual
    body = rules.contains if rules.HasField("contains") else usual
    found = f"{rules.prefix}{body}{rules.suffix}"
    if len(found) > most:
        mark = str(number + 1) if number else ""
        room = max(0, most - len(rules.prefix) - len(rules.suffix) - len(mark))
        found = f"{rules.prefix}{body[:room]}{mark}{rules.suffix}"
    return found + "x" * (least - len(found))


def data(rules: Any) -> bytes:
    """Bytes for a field. `rules` are BytesRules or None."""
    usual = b"example"
    if rules is None:
        return usual
    if chosen := _stated(rules, 0):
        return bytes(chosen)
    least, most = _length(rules)
    for name, size in (("ip", 4), ("ipv4", 4), ("ipv6", 16), ("uuid", 16)):
        if getattr(rules, name, False):
            return (bytes([192, 0, 2, 1]) * 4)[:size]
    found: bytes = rules.prefix + usual[: max(0, most - len(rules.prefix))] + rules.suffix
    return found + b"." * (least - len(found))


def number(field: FieldDescriptor, rules: Any, index: int = 0) -> float:
    """A number for a field. `rules` are of its type (Int32Rules, ...) or None."""
    usual: float = _NUMBERS.get(field.name, 1) + index
    if rules is None:
        return usual
    if (chosen := _stated(rules, index)) is not None:
        return float(chosen) if isinstance(chosen, float) else int(chosen)
    step = 0.5 if isinstance(rules.lt, float) else 1
    if step < 1 and rules.HasField("gt") and rules.HasField("lt") and rules.gt < rules.lt:
        return float((rules.gt + rules.lt) / 2)
    low = rules.gte if rules.HasField("gte") else None
    low = rules.gt + step if rules.HasField("gt") else low
    high = rules.lte if rules.HasField("lte") else None
    high = rules.lt - step if rules.HasField("lt") else high
    if low is not None and high is not None and low > high:
        return float(high) if step < 1 else int(high)  # outside of a range
    if low is not None and usual < low:
        return float(low + index) if step < 1 else int(low + index)
    if high is not None and usual > high:
        return float(high - index) if step < 1 else int(high - index)
    return usual


def choice(field: FieldDescriptor, rules: Any) -> int:
    """A value of an enum. `rules` are EnumRules or None."""
    assert field.enum_type is not None
    numbers = [value.number for value in field.enum_type.values]
    if rules is not None:
        chosen = _stated(rules, 0)
        if chosen is not None:
            return int(chosen)
        refused: set[int] = set(getattr(rules, "not_in", ()))
        numbers = [each for each in numbers if each not in refused] or numbers
    return next((each for each in numbers if each), numbers[0])


def truth(rules: Any) -> bool:
    """A truth. `rules` are BoolRules or None."""
    return bool(rules.const) if rules is not None and rules.HasField("const") else True


def _stated(rules: Any, number: int) -> Any:
    """A value that the rules themselves name, None for none."""
    if rules.HasField("const"):
        return rules.const
    for name in ("example", "in"):
        values = list(getattr(rules, name, ()))
        if values:
            return values[number % len(values)]
    return None


def _length(rules: Any) -> tuple[int, int]:
    least, most = 0, 10_000
    for name in _LENGTHS:
        if name in rules.DESCRIPTOR.fields_by_name and rules.HasField(name):
            value: int = getattr(rules, name)
            least = least if name.startswith("max") else max(least, value)
            most = most if name.startswith("min") else min(most, value)
    return least, most


def _usual_text(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    for ending, value in _NAMES.items():
        if name.endswith(f"_{ending}"):
            return value
    if name in ("id", "uid", "uuid") or name.endswith(("_id", "_uid", "_uuid")):
        return _UUID.format(0)
    return name.replace("_", " ")
