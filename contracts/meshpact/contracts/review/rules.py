"""The kinds of findings of a review: what each says, why it matters, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class About:
    """What reports say of a kind of finding."""

    summary: str
    why: str
    remedy: str


WIRE: Final = About(
    "buf breaking: what was sent or generated before does not fit any more.",
    "Callers that were built from the old contract send and read the old form.",
    "Keep the old element and add the new one beside it, or bring it in a new package version.",
)

_DEMAND = "Calls that were let in before are refused now."
_OPEN = "Calls that were refused before are let in now."
_AGREE = "See that all callers have what is demanded first, or keep what was there."
_INTENDED = "Approve it when this is meant; the owners of the data should know."
_LESS = "Calls within the old limit are refused or cut now."
_MORE = "The server must bear what the old limit kept away from it."
_CLIENTS = "Callers may have been written for what is gone."
_TELL = "Tell the owners of the callers."

RULES: Final[dict[str, About]] = {
    "method-removed": About("A method is gone.", _CLIENTS, "Keep it until nobody calls it."),
    "method-moved": About(
        "A method has another name.",
        "The name of a method is its address: callers of the old one get UNIMPLEMENTED.",
        "Serve both names until nobody calls the old one.",
    ),
    "method-added": About("A method is new.", "", ""),
    "policy-added": About("A method has its first policy.", "", ""),
    "policy-removed": About("A method has no policy.", _CLIENTS, "State its policy."),
    "role-dropped": About("A role no longer lets callers in.", _DEMAND, _AGREE),
    "role-added": About("One more role lets callers in.", _OPEN, _INTENDED),
    "role-demanded": About("A role is demanded now.", _DEMAND, _AGREE),
    "role-not-demanded": About("No role is demanded any more.", _OPEN, _INTENDED),
    "end-user-demanded": About("An end user's token is demanded now.", _DEMAND, _AGREE),
    "end-user-not-demanded": About("No end user's token is demanded any more.", _OPEN, _INTENDED),
    "end-user-judged": About("A token that comes along must be valid now.", _DEMAND, _AGREE),
    "end-user-not-judged": About(
        "A token that comes along is not looked at any more.", _OPEN, _INTENDED
    ),
    "end-user-roles-count": About("Roles of end users let calls in now, too.", _OPEN, _INTENDED),
    "end-user-roles-ignored": About("Roles of end users let no call in now.", _DEMAND, _AGREE),
    "scope-demanded": About("A scope is demanded now.", _DEMAND, _AGREE),
    "scope-dropped": About("A scope is not demanded any more.", _OPEN, _INTENDED),
    "audience-refused": About("Tokens for an audience are refused now.", _DEMAND, _AGREE),
    "audience-accepted": About("Tokens for another audience are taken.", _OPEN, _INTENDED),
    "bound-token-demanded": About(
        "A token must be bound to the caller's certificate now.", _DEMAND, _AGREE
    ),
    "bound-token-dropped": About(
        "A token need not be bound to the caller's certificate any more.", _OPEN, _INTENDED
    ),
    "unauthenticated": About("Anyone who reaches the port may call.", _OPEN, _INTENDED),
    "authenticated": About("A workload identity is demanded now.", _DEMAND, _AGREE),
    "unauthenticated-reason": About("Anyone may call, for another reason.", "", ""),
    "default-deadline-lowered": About("Calls that bring no deadline have less time.", _LESS, _TELL),
    "default-deadline-raised": About("Calls that bring no deadline have more time.", "", ""),
    "max-deadline-lowered": About("Calls may take less time at most.", _LESS, _TELL),
    "max-deadline-raised": About("Calls may take more time at most.", _MORE, _INTENDED),
    "rate-lowered": About("Calls may come less often.", _LESS, _TELL),
    "rate-raised": About("Calls may come more often.", _MORE, _INTENDED),
    "rate-key": About("Others share one count of calls.", _LESS, _TELL),
    "rate-key-wider": About("Fewer share one count of calls.", _MORE, _INTENDED),
    "concurrency-lowered": About("Fewer calls may run at once.", _LESS, _TELL),
    "concurrency-raised": About("More calls may run at once.", _MORE, _INTENDED),
    "request-size-lowered": About("Requests must be smaller.", _LESS, _TELL),
    "request-size-raised": About("Requests may be larger.", _MORE, _INTENDED),
    "response-size-lowered": About("Responses must be smaller.", _LESS, _TELL),
    "response-size-raised": About("Responses may be larger.", _MORE, _INTENDED),
    "criticality": About("Another place in line when a server is overloaded.", "", ""),
    "audit-lowered": About(
        "Fewer calls leave a line in the audit trail.",
        "What leaves no line can be done unseen.",
        _INTENDED,
    ),
    "audit-raised": About("More calls leave a line in the audit trail.", "", ""),
    "audit-demanded": About(
        "A call whose audit line cannot be written is refused now.",
        "A full disk or a stuck writer now stands in the way of calls.",
        "See that the trail is watched first.",
    ),
    "audit-not-demanded": About(
        "A call goes on when its audit line cannot be written.",
        "What leaves no line can be done unseen.",
        _INTENDED,
    ),
    "error-removed": About(
        "A method does not fail with a reason any more.",
        "Callers that handle the reason see INTERNAL instead, should the server still raise it.",
        "Keep the reason, or tell the owners of the callers.",
    ),
    "error-added": About("A method may fail with a further reason.", "", ""),
    "error-code": About("An error has another status code.", _CLIENTS, _TELL),
    "error-metadata-removed": About("An error has a key of metadata less.", _CLIENTS, _TELL),
    "error-metadata-added": About("An error has a further key of metadata.", "", ""),
    "error-domain": About("Errors have another domain.", _CLIENTS, _TELL),
    "error-message": About("An error has another message.", "", ""),
    "idempotency-withdrawn": About(
        "Trying again is not safe any more.",
        "Callers that try again may do the same thing twice.",
        "Keep the method idempotent, or let callers know before.",
    ),
    "idempotency-granted": About("Trying again is safe now.", "", ""),
    "retries": About("Clients try another number of times.", "", ""),
    "pagination-added": About(
        "A list comes in pages now.",
        "Callers that read one answer miss what stands on further pages (AIP-158).",
        "Bring it as a new method.",
    ),
    "pagination-removed": About(
        "A list does not come in pages any more.", _CLIENTS, "Keep the pages."
    ),
    "page-size-lowered": About("Pages are smaller at most.", _LESS, _TELL),
    "page-size-raised": About("Pages may be larger.", _MORE, _INTENDED),
    "page-size-default": About("Pages have another size where the caller names none.", "", ""),
    "validation-tightened": About("Requests that were accepted are refused now.", _DEMAND, _TELL),
    "validation-loosened": About(
        "Requests that were refused are accepted now.",
        "The server must bear what validation kept away from it.",
        _INTENDED,
    ),
    "validation-unclear": About(
        "Validation has changed, and what it does cannot be told.",
        "Requests that were accepted may be refused now, and the other way round.",
        "Read both texts.",
    ),
    "redaction-removed": About(
        "A field is shown in logs.",
        "What people entrusted to a redacted field becomes readable.",
        _INTENDED,
    ),
    "redaction-added": About("A field is not shown in logs any more.", "", ""),
    "binding-removed": About("mesh.yaml takes a method from a caller.", _DEMAND, _AGREE),
    "binding-added": About("mesh.yaml gives a method to a caller.", _OPEN, _INTENDED),
    "binding-changed": About("mesh.yaml lets a caller in with others behind it.", "", ""),
    "network-tightened": About("Calls come from fewer networks.", _DEMAND, _AGREE),
    "network-widened": About("Calls come from further networks.", _OPEN, _INTENDED),
    "proxies": About("Others tell where calls come from.", _OPEN, _INTENDED),
    "proxies-tightened": About(
        "Others tell where calls come from: some are refused now.", _DEMAND, _AGREE
    ),
    "identity-denied": About("An identity is refused at once.", _DEMAND, _TELL),
    "identity-not-denied": About("An identity is not refused any more.", _OPEN, _INTENDED),
    "identity-changed": About("A service has another identity.", "", ""),
    "observed": About("What callers lack is reported only.", _OPEN, _INTENDED),
    "enforced": About("What callers lack is refused again.", _DEMAND, _AGREE),
    "issuer-added": About("Tokens of one more issuer are taken.", _OPEN, _INTENDED),
    "issuer-removed": About("Tokens of an issuer are refused.", _DEMAND, _AGREE),
    "issuer-audience-added": About("Tokens for one more audience are taken.", _OPEN, _INTENDED),
    "issuer-audience-removed": About("Tokens for an audience are refused.", _DEMAND, _AGREE),
    "issuer-algorithm-added": About("One more signature algorithm is taken.", _OPEN, _INTENDED),
    "issuer-algorithm-removed": About("A signature algorithm is refused.", _DEMAND, _AGREE),
    "issuer-token-type-taken": About("Another kind of token is taken.", _OPEN, _INTENDED),
    "issuer-token-type-refused": About("A kind of token is refused.", _DEMAND, _AGREE),
    "issuer-groups-taken": About("Groups come from another claim.", _OPEN, _INTENDED),
    "issuer-groups-refused": About("Groups of a claim do not count any more.", _DEMAND, _AGREE),
    "issuer-groups": About("Groups come from another claim.", "", ""),
    "issuer-keys": About(
        "Others say whose tokens are sound.",
        "Whoever holds these keys can speak for every user of the issuer.",
        _INTENDED,
    ),
    "issuer-opaque-taken": About("Opaque tokens are taken.", _OPEN, _INTENDED),
    "issuer-opaque-refused": About("Opaque tokens are refused.", _DEMAND, _AGREE),
    "issuer-client": About("This mesh asks an issuer as another client.", "", ""),
    "trust-domain": About("All workloads have other identities.", _DEMAND, _AGREE),
    "federation-added": About("Workloads of another domain are known.", _OPEN, _INTENDED),
    "federation-removed": About("Workloads of a domain are not known any more.", _DEMAND, _AGREE),
    "federation-bundle": About(
        "Another bundle vouches for a domain.",
        "Whoever holds the keys of the bundle can speak for every workload of the domain.",
        _INTENDED,
    ),
    "limit-lowered": About("A server bears less.", _LESS, _TELL),
    "limit-raised": About("A server bears more.", _MORE, _INTENDED),
    "audit-kept-less": About(
        "Audit trails are kept for less.", "What is gone cannot be looked at.", _INTENDED
    ),
    "audit-kept-longer": About("Audit trails are kept for longer.", "", ""),
}
