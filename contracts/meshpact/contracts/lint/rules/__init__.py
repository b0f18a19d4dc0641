"""All rules of Meshpact's own, one module each, by ID."""

from __future__ import annotations

from typing import Final

from meshpact.contracts.lint.model import LintRule
from meshpact.contracts.lint.rules import (
    access_kept,
    access_named,
    call_known,
    caller_admitted,
    change_not_hidden,
    comment_says,
    commented,
    deadline_default,
    deadline_fits,
    deadline_max,
    error_listed,
    errors_sound,
    json_name,
    list_paged,
    money_exact,
    mutation_repeatable,
    names_free,
    open_door_reason,
    personal_marked,
    policy_whole,
    read_marked,
    reason_unique,
    repeated_bounded,
    role_bound,
    text_bounded,
    update_mask,
)

RULES: Final[tuple[LintRule, ...]] = (
    policy_whole.RULE,
    errors_sound.RULE,
    names_free.RULE,
    access_named.RULE,
    access_kept.RULE,
    open_door_reason.RULE,
    deadline_default.RULE,
    deadline_max.RULE,
    mutation_repeatable.RULE,
    read_marked.RULE,
    change_not_hidden.RULE,
    list_paged.RULE,
    update_mask.RULE,
    error_listed.RULE,
    reason_unique.RULE,
    commented.RULE,
    comment_says.RULE,
    text_bounded.RULE,
    repeated_bounded.RULE,
    personal_marked.RULE,
    json_name.RULE,
    money_exact.RULE,
    role_bound.RULE,
    deadline_fits.RULE,
    caller_admitted.RULE,
    call_known.RULE,
)
