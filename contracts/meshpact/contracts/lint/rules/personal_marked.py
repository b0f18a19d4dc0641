"""MP181: fields whose names say that they hold personal data or secrets are marked so."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule
from meshpact.contracts.lint.prose import words

PERSONAL: Final = words(
    "email email_address phone phone_number mobile_number fax_number first_name last_name "
    "given_name family_name middle_name maiden_name full_name surname birth_date "
    "date_of_birth birthday birth_place street street_address postal_address home_address "
    "billing_address shipping_address delivery_address address_line address_lines postal_code "
    "post_code postcode zip_code ssn social_security_number national_id passport_number "
    "driver_license driver_license_number iban bank_account bank_account_number card_number "
    "credit_card credit_card_number cvv cvc ip_address"
)
SECRETS: Final = words(
    "password passwd passphrase secret client_secret api_key access_token refresh_token "
    "id_token bearer_token session_token private_key secret_key one_time_password otp "
    "credential credentials"
)

_NAME: Final = re.compile(rf"(?:.*_)?(?:{'|'.join([*PERSONAL, *SECRETS])})(?:es|s)?(?:_\d+)?")
_KINDS: Final = frozenset(
    {
        FieldDescriptorProto.TYPE_STRING,
        FieldDescriptorProto.TYPE_BYTES,
        FieldDescriptorProto.TYPE_MESSAGE,
        FieldDescriptorProto.TYPE_INT32,
        FieldDescriptorProto.TYPE_INT64,
        FieldDescriptorProto.TYPE_UINT32,
        FieldDescriptorProto.TYPE_UINT64,
    }
)


def _find(context: Context, field: Field) -> Hits:
    proto = field.proto
    if (
        proto.type in _KINDS
        and _NAME.fullmatch(proto.name)
        and not proto.options.debug_redact
        and not proto.name.startswith(("has_", "is_", "no_"))
    ):
        yield Hit(
            f"{proto.name} says that it holds personal data or a secret, and is not marked so",
            "add [debug_redact = true]",
        )


RULE = LintRule(
    id="MP181",
    name="personal-marked",
    summary="Fields whose names say personal data or a secret have debug_redact.",
    why="what is marked is left out of logs, traces and errors; what is not, is not",
    field=_find,
)
