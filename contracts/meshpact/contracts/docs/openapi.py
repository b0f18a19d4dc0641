"""The contracts as one OpenAPI 3.1 document, for tools that know no protobuf.

Each method is `POST /package.Service/Method` with the canonical JSON of its messages, as the
Connect protocol and transcoding proxies have it; errors are google.rpc.Status (AIP-193).
"""

from __future__ import annotations

import json
from typing import Any, Final

from google.rpc import code_pb2

from meshpact.contracts.docs.coverage import Coverage
from meshpact.contracts.docs.jsonschema import Schema, Schemas
from meshpact.contracts.docs.known import Known
from meshpact.contracts.docs.model import Error, Message, Method, Service, Site, summary
from meshpact.contracts.model import Contracts
from meshpact.contracts.model import Method as ContractMethod
from meshpact.policy.v1 import policy_pb2 as pb

VERSION: Final = "3.1.0"
_ABOUT: Final = (
    "The services speak gRPC. This document describes the same calls in JSON, as the Connect "
    "protocol and transcoding proxies offer them: one POST a method, the body in ProtoJSON. "
    "Streams are described by one message of theirs."
)
_HTTP: Final = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
"""google.rpc.Code to HTTP, as code.proto says it."""
_STATUS: Final[Schema] = {
    "type": "object",
    "description": "google.rpc.Status, as AIP-193 writes it in JSON.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status", "details"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "message": {"type": "string", "description": "For people."},
                "status": {
                    "type": "string",
                    "enum": [name for name in code_pb2.Code.keys() if name != "OK"],  # noqa: SIM118
                },
                "details": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "@type": {"type": "string"},
                            "reason": {"type": "string"},
                            "domain": {"type": "string"},
                            "metadata": {
                                "type": "object",
                                "additionalProperties": {"type": "string"},
                            },
                        },
                    },
                },
            },
        }
    },
}
_STATUS_NAME: Final = "Status"


def pages(
    site: Site, coverage: Coverage, title: str, contracts: Contracts, known: Known
) -> dict[str, bytes]:
    """`openapi.json`."""
    del coverage
    text = json.dumps(document(site, title, contracts, known), indent=2, ensure_ascii=False)
    return {"openapi.json": f"{text}\n".encode()}


def document(site: Site, title: str, contracts: Contracts, known: Known) -> dict[str, Any]:
    """The document."""
    schemas = Schemas(known, _comments(site))
    schemas.found[_STATUS_NAME] = _STATUS
    by_name = {
        method.name: method
        for file in contracts.files
        for service in file.services
        for method in service.methods
    }
    paths = {
        f"/{method.full_name}": {
            "post": _operation(service, method, by_name[method.full_name], schemas, known)
        }
        for service in site.services
        for method in service.methods
    }
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": "contracts", "description": _ABOUT},
        "tags": [
            {"name": service.full_name, "description": service.comment or service.name}
            for service in site.services
        ],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.found.items())),
            "securitySchemes": {
                "workload": {
                    "type": "mutualTLS",
                    "description": "The certificate of the calling workload, with its SPIFFE ID.",
                },
                "endUser": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of the end user (RFC 9068).",
                },
            },
        },
    }


def _operation(
    service: Service, method: Method, contract: ContractMethod, schemas: Schemas, known: Known
) -> dict[str, Any]:
    policy = "\n".join(f"- **{fact.label}**: {fact.text}" for fact in method.facts)
    operation: dict[str, Any] = {
        "operationId": method.full_name.replace("/", "."),
        "tags": [service.full_name],
        "summary": summary(method.comment) or method.name,
        "description": f"{method.comment}\n\n{method.shape.capitalize()}.\n\n{policy}".strip(),
        "security": _security(contract),
        "requestBody": {
            "required": True,
            "content": {"application/json": _media(method.request, schemas, known)},
        },
        "responses": {
            "200": {
                "description": method.response.comment or "The response.",
                "content": {"application/json": _media(method.response, schemas, known)},
            },
            **_failures(method),
        },
        "x-meshpact": {
            "request-streams": method.request_streams,
            "response-streams": method.response_streams,
            "reasons": [error.reason for error in method.errors],
        },
    }
    if method.deprecated:
        operation["deprecated"] = True
    return operation


def _media(message: Message, schemas: Schemas, known: Known) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": schemas.reference(known.message(message.full_name))}
    if message.example.valid:
        media["example"] = json.loads(message.example.json)
    return media


def _security(method: ContractMethod) -> list[dict[str, list[str]]]:
    access = method.policy.access
    if access.HasField("unauthenticated"):
        return [{}]
    with_user = {"workload": [], "endUser": sorted(access.scopes)}
    if access.end_user == pb.END_USER_REQUIRED:
        return [with_user]
    if access.end_user == pb.END_USER_OPTIONAL:
        return [{"workload": []}, with_user]
    return [{"workload": []}]


def _failures(method: Method) -> dict[str, Any]:
    content = {
        "application/json": {"schema": {"$ref": f"#/components/schemas/{_STATUS_NAME}"}},
    }
    by_status: dict[int, list[str]] = {}
    for error in method.errors:
        by_status.setdefault(_HTTP.get(error.code, 500), []).append(_told(error))
    for reason, code in method.guard_errors:
        by_status.setdefault(_HTTP.get(code, 500), []).append(f"- `{reason}` ({code}), by Meshpact")
    found: dict[str, Any] = {
        str(status): {"description": "\n".join(lines), "content": content}
        for status, lines in sorted(by_status.items())
    }
    return found | {"default": {"description": "Any other error.", "content": content}}


def _told(error: Error) -> str:
    keys = f"; metadata: {', '.join(error.metadata)}" if error.metadata else ""
    return f"- `{error.reason}` ({error.code}) of {error.domain}: {error.message}{keys}"


def _comments(site: Site) -> dict[str, str]:
    found: dict[str, str] = {}
    for package in site.packages:
        for message in package.messages:
            found[message.full_name] = message.comment
            found |= {field.full_name: field.comment for field in message.fields}
        for enum in package.enums:
            found[enum.full_name] = enum.comment
    return found
