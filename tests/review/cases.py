"""Every field of a policy, changed each way: the golden findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

BREAKS: Final = "breaks-callers"
WIDENS: Final = "widens-access"
NOTE: Final = "note"

Parts = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """Two policies, by the parts in which they differ from the plain one, and what is found."""

    name: str
    old: Parts
    new: Parts
    found: Mapping[str, str] = field(default_factory=dict[str, str])
    idempotency: tuple[str, str] = ("", "")


def _access(name: str, old: str, new: str, **found: str) -> Case:
    named = {rule.replace("_", "-"): impact for rule, impact in found.items()}
    return Case(name, {"access": old}, {"access": new}, named)


def _part(name: str, part: str, old: str, new: str, **found: str) -> Case:
    named = {rule.replace("_", "-"): impact for rule, impact in found.items()}
    return Case(name, {part: old} if old else {}, {part: new} if new else {}, named)


_R: Final = 'roles: "shop.reader"'
_W: Final = 'roles: "shop.writer"'
_TOKEN: Final = "end_user: END_USER_REQUIRED"
_MAYBE: Final = "end_user: END_USER_OPTIONAL"
_RATE: Final = "requests: 60 per: {seconds: 60} burst: 10"

CASES: Final = (
    _access("RoleAdded", _R, f"{_R} {_W}", role_added=WIDENS),
    _access("RoleDropped", f"{_R} {_W}", _R, role_dropped=BREAKS),
    _access("RoleReplaced", _R, _W, role_dropped=BREAKS, role_added=WIDENS),
    _access("RolesInOtherOrder", f"{_R} {_W}", f"{_W} {_R}"),
    _access("RoleTwice", _R, f"{_R} {_R}"),
    _access("RoleDemanded", _TOKEN, f"{_R} {_TOKEN}", role_demanded=BREAKS),
    _access("RoleNotDemanded", f"{_R} {_TOKEN}", _TOKEN, role_not_demanded=WIDENS),
    _access("WorkloadRoleDemanded", _R, f"{_R} workload_{_W}", role_demanded=BREAKS),
    _access("WorkloadRoleNotDemanded", f"{_R} workload_{_W}", _R, role_not_demanded=WIDENS),
    _access(
        "WorkloadRoleAdded", f"workload_{_R}", f"workload_{_R} workload_{_W}", role_added=WIDENS
    ),
    _access(
        "WorkloadRoleDropped", f"workload_{_R} workload_{_W}", f"workload_{_R}", role_dropped=BREAKS
    ),
    _access(
        "RoleBecomesOneOfTheWorkload",
        _R,
        f"workload_{_R}",
        role_not_demanded=NOTE,
        role_demanded=NOTE,
    ),
    _access(
        "RoleThatIsDemandedAnyway",
        f"workload_{_W} {_R} {_W}",
        f"workload_{_W} {_W}",
        role_dropped=NOTE,
    ),
    _access(
        "RoleBecomesOneOfTheWorkloadBesideAUser",
        f"{_R} {_TOKEN}",
        f"workload_{_R} {_TOKEN}",
        role_not_demanded=NOTE,
        role_demanded=BREAKS,
    ),
    _access("UserRoleDemanded", _TOKEN, f"{_TOKEN} user_{_R}", role_demanded=BREAKS),
    _access("UserRoleNotDemanded", f"{_TOKEN} user_{_R}", _TOKEN, role_not_demanded=WIDENS),
    _access(
        "UserRoleAdded", f"{_TOKEN} user_{_R}", f"{_TOKEN} user_{_R} user_{_W}", role_added=WIDENS
    ),
    _access(
        "UserRoleDropped",
        f"{_TOKEN} user_{_R} user_{_W}",
        f"{_TOKEN} user_{_R}",
        role_dropped=BREAKS,
    ),
    _access(
        "EndUserDemanded",
        _R,
        f"{_R} {_TOKEN}",
        end_user_demanded=BREAKS,
        end_user_roles_count=WIDENS,
    ),
    _access(
        "EndUserNotDemanded",
        f"{_R} {_TOKEN}",
        _R,
        end_user_not_demanded=WIDENS,
        end_user_roles_ignored=BREAKS,
    ),
    _access(
        "EndUserJudged", _R, f"{_R} {_MAYBE}", end_user_judged=BREAKS, end_user_roles_count=WIDENS
    ),
    _access(
        "EndUserNotJudged",
        f"{_R} {_MAYBE}",
        _R,
        end_user_not_judged=WIDENS,
        end_user_roles_ignored=BREAKS,
    ),
    _access("OptionalUserDemanded", f"{_R} {_MAYBE}", f"{_R} {_TOKEN}", end_user_demanded=BREAKS),
    _access(
        "DemandedUserOptional", f"{_R} {_TOKEN}", f"{_R} {_MAYBE}", end_user_not_demanded=WIDENS
    ),
    _access("NoEndUserSpelledOut", _R, f"{_R} end_user: END_USER_NONE"),
    _access("ScopeDemanded", _TOKEN, f'{_TOKEN} scopes: "a"', scope_demanded=BREAKS),
    _access("ScopeDropped", f'{_TOKEN} scopes: "a"', _TOKEN, scope_dropped=WIDENS),
    _access(
        "ScopeReplaced",
        f'{_TOKEN} scopes: "a"',
        f'{_TOKEN} scopes: "b"',
        scope_dropped=WIDENS,
        scope_demanded=BREAKS,
    ),
    _access(
        "AudienceNamed",
        _TOKEN,
        f'{_TOKEN} audience: "a"',
        audience_refused=BREAKS,
        audience_accepted=WIDENS,
    ),
    _access(
        "AudienceLeftOut",
        f'{_TOKEN} audience: "a"',
        _TOKEN,
        audience_refused=BREAKS,
        audience_accepted=WIDENS,
    ),
    _access(
        "AudienceReplaced",
        f'{_TOKEN} audience: "a"',
        f'{_TOKEN} audience: "b"',
        audience_refused=BREAKS,
        audience_accepted=WIDENS,
    ),
    _access("TokenBound", _TOKEN, f"{_TOKEN} bound_token: true", bound_token_demanded=BREAKS),
    _access("TokenUnbound", f"{_TOKEN} bound_token: true", _TOKEN, bound_token_dropped=WIDENS),
    _access("DoorOpened", _R, 'unauthenticated: {reason: "All may look."}', unauthenticated=WIDENS),
    _access("DoorClosed", 'unauthenticated: {reason: "All may look."}', _R, authenticated=BREAKS),
    _access(
        "DoorOpenForAnotherReason",
        'unauthenticated: {reason: "All may look."}',
        'unauthenticated: {reason: "All may listen."}',
        unauthenticated_reason=NOTE,
    ),
    _part(
        "DefaultLowered",
        "deadline",
        "default: {seconds: 2} max: {seconds: 10}",
        "default: {seconds: 1} max: {seconds: 10}",
        default_deadline_lowered=BREAKS,
    ),
    _part(
        "DefaultRaised",
        "deadline",
        "default: {seconds: 1} max: {seconds: 10}",
        "default: {seconds: 2} max: {seconds: 10}",
        default_deadline_raised=NOTE,
    ),
    _part(
        "MaxLowered",
        "deadline",
        "default: {seconds: 1} max: {seconds: 10}",
        "default: {seconds: 1} max: {seconds: 9}",
        max_deadline_lowered=BREAKS,
    ),
    _part(
        "MaxRaised",
        "deadline",
        "default: {seconds: 1} max: {seconds: 10}",
        "default: {seconds: 1} max: {seconds: 11}",
        max_deadline_raised=WIDENS,
    ),
    _part(
        "MaxLifted",
        "deadline",
        "default: {seconds: 1} max: {seconds: 10}",
        "default: {seconds: 1}",
        max_deadline_raised=WIDENS,
    ),
    _part(
        "MaxGiven",
        "deadline",
        "default: {seconds: 1}",
        "default: {seconds: 1} max: {seconds: 10}",
        max_deadline_lowered=BREAKS,
    ),
    _part(
        "DeadlineInOtherUnits",
        "deadline",
        "default: {seconds: 1} max: {seconds: 10}",
        "max: {seconds: 10 nanos: 0} default: {seconds: 1}",
    ),
    _part("RateGiven", "rate", "", _RATE, rate_lowered=BREAKS),
    _part("RateLifted", "rate", _RATE, "", rate_raised=WIDENS),
    _part("RateUnlimited", "rate", _RATE, "unlimited: true", rate_raised=WIDENS),
    _part(
        "RateLowered",
        "rate",
        _RATE,
        "requests: 59 per: {seconds: 60} burst: 10",
        rate_lowered=BREAKS,
    ),
    _part(
        "RateRaised", "rate", _RATE, "requests: 61 per: {seconds: 60} burst: 10", rate_raised=WIDENS
    ),
    _part(
        "BurstLowered",
        "rate",
        _RATE,
        "requests: 60 per: {seconds: 60} burst: 9",
        rate_lowered=BREAKS,
    ),
    _part(
        "BurstRaised",
        "rate",
        _RATE,
        "requests: 60 per: {seconds: 60} burst: 11",
        rate_raised=WIDENS,
    ),
    _part(
        "RateRaisedBurstLowered",
        "rate",
        _RATE,
        "requests: 70 per: {seconds: 60} burst: 5",
        rate_raised=WIDENS,
        rate_lowered=BREAKS,
    ),
    _part("SamePaceInOtherWords", "rate", _RATE, "requests: 1 per: {seconds: 1} burst: 10"),
    _part(
        "BurstAsManyAsRequests",
        "rate",
        "requests: 5 per: {seconds: 1}",
        "requests: 5 per: {seconds: 1} burst: 5",
    ),
    _part("RateShared", "rate", _RATE, f"{_RATE} by: RATE_KEY_METHOD", rate_key=BREAKS),
    _part("RateNotShared", "rate", f"{_RATE} by: RATE_KEY_METHOD", _RATE, rate_key_wider=WIDENS),
    Case(
        "RateByUser",
        {"access": f"{_R} {_MAYBE}", "rate": _RATE},
        {"access": f"{_R} {_MAYBE}", "rate": f"{_RATE} by: RATE_KEY_END_USER"},
        {"rate-key": BREAKS, "rate-key-wider": WIDENS},
    ),
    _part("RateByCallerSpelledOut", "rate", _RATE, f"{_RATE} by: RATE_KEY_CALLER"),
    _part("ConcurrencyGiven", "concurrency", "", "max: 5", concurrency_lowered=BREAKS),
    _part("ConcurrencyLifted", "concurrency", "max: 5", "", concurrency_raised=WIDENS),
    _part(
        "ConcurrencyUnlimited",
        "concurrency",
        "max: 5",
        "unlimited: true",
        concurrency_raised=WIDENS,
    ),
    _part("ConcurrencyLowered", "concurrency", "max: 5", "max: 4", concurrency_lowered=BREAKS),
    _part("ConcurrencyRaised", "concurrency", "max: 5", "max: 6", concurrency_raised=WIDENS),
    _part(
        "LessCritical",
        "criticality",
        "CRITICALITY_CRITICAL_PLUS",
        "CRITICALITY_SHEDDABLE",
        criticality=NOTE,
    ),
    _part("CriticalSpelledOut", "criticality", "", "CRITICALITY_CRITICAL"),
    _part(
        "RequestsSmaller", "message_size", "", "request_bytes: 1000", request_size_lowered=BREAKS
    ),
    _part("RequestsLarger", "message_size", "request_bytes: 1000", "", request_size_raised=WIDENS),
    _part(
        "ResponsesSmaller", "message_size", "", "response_bytes: 1000", response_size_lowered=BREAKS
    ),
    _part(
        "ResponsesLarger", "message_size", "response_bytes: 1000", "", response_size_raised=WIDENS
    ),
    _part("SizeSpelledOut", "message_size", "", "request_bytes: 4194304"),
    _part(
        "AuditLowered",
        "audit",
        "level: AUDIT_LEVEL_ALL",
        "level: AUDIT_LEVEL_DENIALS",
        audit_lowered=WIDENS,
    ),
    _part(
        "AuditDropped",
        "audit",
        "level: AUDIT_LEVEL_DENIALS",
        "level: AUDIT_LEVEL_NONE",
        audit_lowered=WIDENS,
    ),
    _part(
        "AuditRaised",
        "audit",
        "level: AUDIT_LEVEL_NONE",
        "level: AUDIT_LEVEL_ALL",
        audit_raised=NOTE,
    ),
    _part(
        "AuditDemanded",
        "audit",
        "level: AUDIT_LEVEL_ALL",
        "level: AUDIT_LEVEL_ALL required: true",
        audit_demanded=BREAKS,
    ),
    _part(
        "AuditNotDemanded",
        "audit",
        "level: AUDIT_LEVEL_ALL required: true",
        "level: AUDIT_LEVEL_ALL",
        audit_not_demanded=WIDENS,
    ),
    _part("ErrorRemoved", "errors", '["GONE", "FULL"]', '"GONE"', error_removed=BREAKS),
    _part("ErrorAdded", "errors", '"GONE"', '["GONE", "FULL"]', error_added=NOTE),
    _part("ErrorsInOtherOrder", "errors", '["GONE", "FULL"]', '["FULL", "GONE"]'),
    _part("ErrorInFull", "errors", '"GONE"', '"shop.v1.SHOP_ERROR_GONE"'),
    Case(
        "IdempotencyWithdrawn",
        {},
        {},
        {"idempotency-withdrawn": BREAKS, "RPC_SAME_IDEMPOTENCY_LEVEL": BREAKS},
        ("IDEMPOTENT", ""),
    ),
    Case(
        "IdempotencyGranted",
        {},
        {},
        {"idempotency-granted": NOTE, "RPC_SAME_IDEMPOTENCY_LEVEL": BREAKS},
        ("", "NO_SIDE_EFFECTS"),
    ),
    Case(
        "TriedLess",
        {"retries": "max_attempts: 5"},
        {"retries": "max_attempts: 2"},
        {"retries": NOTE},
        ("IDEMPOTENT", "IDEMPOTENT"),
    ),
    Case(
        "TriedAsEver",
        {},
        {"retries": "max_attempts: 3"},
        {},
        ("IDEMPOTENT", "IDEMPOTENT"),
    ),
    _part(
        "PagesAdded",
        "pagination",
        "",
        "default_size: 10 max_size: 100",
        pagination_added=BREAKS,
    ),
    _part(
        "PagesRemoved",
        "pagination",
        "default_size: 10 max_size: 100",
        "",
        pagination_removed=BREAKS,
    ),
    _part(
        "PagesSmaller",
        "pagination",
        "default_size: 10 max_size: 100",
        "default_size: 10 max_size: 99",
        page_size_lowered=BREAKS,
    ),
    _part(
        "PagesLarger",
        "pagination",
        "default_size: 10 max_size: 100",
        "default_size: 11 max_size: 101",
        page_size_default=NOTE,
        page_size_raised=WIDENS,
    ),
)
