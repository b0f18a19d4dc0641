"""A method called from a shell and from Python: whole, ready to run."""

from __future__ import annotations

import json
import shlex
from typing import Final

from meshpact.contracts import names
from meshpact.contracts.docs.mesh import Target
from meshpact.contracts.docs.model import Error, Example
from meshpact.contracts.docs.pyrequest import Expressions
from meshpact.contracts.layout import Group, lay, literal
from meshpact.contracts.model import Method
from meshpact.policy.v1 import policy_pb2 as pb

TOKEN: Final = "ACCESS_TOKEN"  # noqa: S105  (the name of a variable)
"""The environment variable that examples take the end user's token from."""


def grpcurl(method: Method, target: Target, request: Example) -> str:
    """A command line of grpcurl, with the files as `meshpact up` lays them."""
    identity = f".meshpact/identities/{target.caller}"
    words = [
        ("-cacert", f".meshpact/trust/{target.trust_domain}.pem"),
        ("-cert", f"{identity}/cert.pem"),
        ("-key", f"{identity}/key.pem"),
        ("-authority", target.authority),
        ("-protoset", ".meshpact/contracts.binpb"),
    ]
    lines = ["grpcurl", *(shlex.join(pair) for pair in words)]
    if _needs_token(method):
        lines.append(f'-H "authorization: Bearer ${TOKEN}"')
    lines.append(shlex.join(["-d", _compact(request.json)]))
    lines += [shlex.quote(target.address), shlex.quote(method.name)]
    return " \\\n  ".join(lines)


def _compact(text: str) -> str:
    return json.dumps(json.loads(text), ensure_ascii=False)


def python(method: Method, target: Target, request: Example, errors: tuple[Error, ...]) -> str:
    """A program that makes the call with the generated client, on asyncio."""
    expressions = Expressions()
    made = expressions.of(request.value)
    module = names.module(method.service.file.name, "_mesh")
    short = module.rpartition(".")[2]
    shown = next((error for error in errors if error.exception.startswith(f"{module}.")), None)
    lines = ["import asyncio"]
    lines += ["import os"] if _needs_token(method) else []
    lines += ["from collections.abc import AsyncIterator"] if method.proto.client_streaming else []
    lines += ["from pathlib import Path", ""]
    lines += _imports({module, *expressions.modules})
    if method.proto.client_streaming:
        request_type = made.head.removesuffix("(")
        lines += ["", "", f"async def requests() -> AsyncIterator[{request_type}]:"]
        lines += lay(Group(f"yield {made.head}", made.items, made.tail), 4)
    lines += ["", "", "async def main() -> None:"]
    lines += lay(Group("identity = FileSource(", _files(target), ")"), 4)
    channel = [
        literal(target.address),
        "identity=identity",
        f"callee=SpiffeId.parse({literal(target.callee)})",
        f"services=[{short}.{method.service.constant}]",
    ]
    lines += lay(Group("async with Channel(", channel, ") as channel:"), 4)
    lines.append(f"        client = {short}.{method.service.proto.name}Client(channel)")
    if not method.proto.client_streaming:
        lines += lay(Group(f"request = {made.head}", made.items, made.tail), 8)
    argument = "requests()" if method.proto.client_streaming else "request"
    arguments = [argument, *_token(method)]
    call = Group(f"client.{method.attribute}(", arguments, ")")
    indent = 8
    if shown is not None:
        lines.append("        try:")
        indent = 12
    pad = " " * indent
    if method.proto.server_streaming:
        lines += lay(Group(f"async for response in {call.head}", call.items, "):"), indent)
        lines.append(f"{pad}    print(response)")
    else:
        lines += lay(Group(f"response = await {call.head}", call.items, call.tail), indent)
        lines.append(f"{pad}print(response)")
    if shown is not None:
        lines.append(f"        except {short}.{shown.exception.rpartition('.')[2]} as error:")
        lines.append("            print(error.message, dict(error.metadata))")
    lines += ["", "", "asyncio.run(main())"]
    return "\n".join(lines) + "\n"


def _imports(modules: set[str]) -> list[str]:
    """Imports of generated and foreign modules, and of what every program here needs."""
    needed = {
        "meshpact.certs.source": "from meshpact.certs.source import FileSource",
        "meshpact.certs.spiffe": "from meshpact.certs.spiffe import SpiffeId",
        "meshpact.clients": "from meshpact.clients import Channel",
    }
    together: dict[str, list[str]] = {}
    for module in modules:
        package, _, name = module.rpartition(".")
        together.setdefault(package, []).append(name)
    for package, found in together.items():
        line = ", ".join(sorted(found))
        needed[package] = f"from {package} import {line}" if package else f"import {line}"
    return [needed[name] for name in sorted(needed)]


def _files(target: Target) -> list[str]:
    identity = literal(f".meshpact/identities/{target.caller}")
    return [f"Path({identity})", 'Path(".meshpact/trust")']


def _token(method: Method) -> list[str]:
    return [f'token=os.environ["{TOKEN}"]'] if _needs_token(method) else []


def _needs_token(method: Method) -> bool:
    return method.policy.access.end_user == pb.END_USER_REQUIRED
