"""What a change of each field of a policy is found to be, wherever the policy stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from meshpact.contracts.review.run import Question, review
from meshpact.contracts.review.settings import Settings
from meshpact.contracts.review.sides import Asked
from meshpact.policy.v1 import policy_pb2 as pb
from review.cases import CASES, Case, Parts
from review.reviews import HEAD, PARTS, method, policy, service, write

Found = Mapping[str, Mapping[str, str]]
"""Rule -> class, by the name of the method or the service."""

_ERRORS = """
enum ShopError {
  option (meshpact.policy.v1.errors).domain = "shop.example";
  SHOP_ERROR_UNSPECIFIED = 0;
  SHOP_ERROR_GONE = 1 [(meshpact.policy.v1.error) = {code: CODE_NOT_FOUND message: "Gone."}];
  SHOP_ERROR_FULL = 2 [(meshpact.policy.v1.error) = {code: CODE_ABORTED message: "Full."}];
}
"""
_OTHER: Mapping[str, str] = {
    "access": 'roles: "shop.other"',
    "deadline": "default: {seconds: 7} max: {seconds: 77}",
    "audit": "level: AUDIT_LEVEL_ALL",
    "rate": "requests: 7 per: {seconds: 7}",
    "concurrency": "max: 7",
    "criticality": "CRITICALITY_SHEDDABLE_PLUS",
    "message_size": "request_bytes: 7000 response_bytes: 7000",
}


def _messages(name: str) -> str:
    return (
        f"message {name}Request {{ int32 page_size = 1; string page_token = 2; }}\n"
        f"message {name}Response {{ repeated string items = 1; string next_page_token = 2; }}\n"
    )


def _options(case: Case, index: int) -> str:
    level = case.idempotency[index]
    return f"  option idempotency_level = {level};\n" if level else ""


def _on_methods(index: int) -> str:
    """All cases as methods of one service, each with a whole policy of its own."""
    methods = "".join(
        method(
            case.name, _options(case, index) + policy({**PARTS, **_parts(case, index)}, "method")
        )
        for case in CASES
    )
    return HEAD + service("Shop", "", methods) + _all_messages()


def _on_services(index: int, prefix: str = "") -> str:
    """Each case as a service with one method that inherits everything."""
    return (
        HEAD
        + _all_messages()
        + "".join(
            service(
                f"{prefix}{case.name}Service",
                policy({**PARTS, **_parts(case, index)}, "service"),
                method(case.name, _options(case, index)),
            )
            for case in CASES
        )
    )


def _overridden(index: int) -> str:
    """The service's part changes, and the method has its own of each part."""
    return (
        HEAD
        + _all_messages()
        + "".join(
            service(
                f"{case.name}Service",
                policy({**PARTS, **_parts(case, index)}, "service"),
                method(
                    case.name,
                    "  option idempotency_level = IDEMPOTENT;\n"
                    + policy(
                        {
                            **_OTHER,
                            "errors": '"GONE"',
                            "retries": "max_attempts: 4",
                            "pagination": "default_size: 7 max_size: 70",
                        },
                        "method",
                    ),
                ),
            )
            for case in CASES
        )
    )


def _moved(index: int) -> str:
    """The same policy stands on the service first, then on the method."""
    return (
        HEAD
        + _all_messages()
        + "".join(
            service(
                f"{case.name}Service",
                policy({**PARTS, **case.old}, "service") if index == 0 else "",
                method(
                    case.name,
                    _options(case, 0) + (policy({**PARTS, **case.old}, "method") if index else ""),
                ),
            )
            for case in CASES
        )
    )


def _parts(case: Case, index: int) -> Parts:
    return case.new if index else case.old


def _all_messages() -> str:
    return _ERRORS + "".join(_messages(case.name) for case in CASES)


def _reviewed(folder: Path, old: str, new: str, file: str = "shop/v1/shop.proto") -> Found:
    sides = write(folder / "old", old), write(folder / "new", new, file)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    question = Question(str(sides[0]), Asked([sides[1]]))
    for change in review(question, Settings(), {}).changes:
        about = change.subject.rpartition("/")[2]
        if not about:
            named = (case.name for case in CASES if f'"{case.name}"' in change.delta.message)
            about = next(named, "")
        found[about][change.delta.rule] = change.delta.impact.value
    return found


@pytest.fixture(scope="module")
def on_methods(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return _reviewed(tmp_path_factory.mktemp("methods"), _on_methods(0), _on_methods(1))


@pytest.fixture(scope="module")
def inherited(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return _reviewed(tmp_path_factory.mktemp("services"), _on_services(0), _on_services(1))


def _names(cases: tuple[Case, ...] = CASES) -> Callable[..., object]:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@_names()
def test_a_change_on_a_method_is_found_to_be_what_it_is(case: Case, on_methods: Found) -> None:
    assert on_methods.get(case.name, {}) == case.found


@_names()
def test_a_change_that_a_method_inherits_is_found_there(case: Case, inherited: Found) -> None:
    assert inherited.get(case.name, {}) == case.found


def test_each_change_taken_back_is_found_too(tmp_path: Path, on_methods: Found) -> None:
    back = _reviewed(tmp_path, _on_methods(1), _on_methods(0))
    assert set(back) == set(on_methods)


def test_nothing_is_found_where_nothing_changes(tmp_path: Path) -> None:
    assert not _reviewed(tmp_path, _on_methods(0), _on_methods(0))


def test_a_service_that_its_methods_override_changes_nothing(tmp_path: Path) -> None:
    assert not _reviewed(tmp_path, _overridden(0), _overridden(1))


def test_a_policy_that_moves_from_the_service_to_its_method_is_the_same(tmp_path: Path) -> None:
    assert not _reviewed(tmp_path, _moved(0), _moved(1))
    assert not _reviewed(tmp_path, _moved(1), _moved(0))


def test_changes_are_found_in_services_that_got_other_names_and_files(tmp_path: Path) -> None:
    found = _reviewed(
        tmp_path, _on_services(0), _on_services(1, "Great"), file="shop/v1/great.proto"
    )
    for case in CASES:
        own = {rule: impact for rule, impact in found[case.name].items() if rule.islower()}
        assert own.pop("method-moved") == "breaks-callers"
        expected = {rule: impact for rule, impact in case.found.items() if rule.islower()}
        assert own == expected, case.name


def _fields(message: Descriptor, above: str = "") -> Iterator[str]:
    """The paths of all fields that hold a value, at any depth."""
    for field in message.fields:
        inner = field.message_type
        if inner is None or inner.full_name.startswith("google."):
            yield f"{above}{field.name}"
        else:
            yield from _fields(inner, f"{above}{field.name}.")


@pytest.mark.parametrize("path", sorted(_fields(pb.Policy.DESCRIPTOR)))
def test_every_field_of_the_vocabulary_differs_in_a_row_of_the_table(path: str) -> None:
    """A new field of policy.proto needs golden findings: rows whose sides differ in it."""
    assert any(path in _differing(case) for case in CASES), path


def _differing(case: Case) -> set[str]:
    sides = [_values(text_format.Parse(_text(each), pb.Policy())) for each in (case.old, case.new)]
    return {path for path in {*sides[0], *sides[1]} if sides[0].get(path) != sides[1].get(path)}


def _text(parts: Parts) -> str:
    plain = ("errors", "criticality")
    return " ".join(f"{n}: {t}" if n in plain else f"{n} {{{t}}}" for n, t in parts.items())


def _values(message: Message, above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for field, value in message.ListFields():
        inner = field.message_type
        if inner is None or inner.full_name.startswith("google."):
            found[f"{above}{field.name}"] = str(value)
        else:
            found |= _values(value, f"{above}{field.name}.")
    return found
