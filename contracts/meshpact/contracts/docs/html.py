"""The pages as a static site: plain HTML, one style sheet, one script; works from file://.

Everything that comes from contracts goes through the templates' autoescape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshpact.contracts.docs import prose
from meshpact.contracts.docs.coverage import Coverage
from meshpact.contracts.docs.model import Package, Service, Site, TypeRef, summary
from meshpact.contracts.faults import WrongUse

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_HERE: Final = Path(__file__).parent
_INDEX: Final = "/*INDEX*/[]"


def pages(site: Site, coverage: Coverage, title: str) -> dict[str, bytes]:
    """Path -> content of all files of the site."""
    environment = _environment()
    shared = {"site": site, "coverage": coverage, "title": title}

    def page(template: str, root: str, **further: object) -> bytes:
        text = environment.get_template(template).render(**shared, root=root, **further)
        return (text.rstrip("\n") + "\n").encode()

    found = {"index.html": page("index.html", "", here="")}
    for package in site.packages:
        found[package_page(package.name)] = page(
            "package.html", "../", package=package, here=package.name
        )
        for service in package.services:
            found[service_page(service)] = page(
                "service.html", "../", package=package, service=service, here=service.full_name
            )
    found["assets/site.css"] = (_HERE / "assets" / "site.css").read_bytes()
    script = (_HERE / "assets" / "site.js").read_text(encoding="utf-8")
    index = json.dumps(list(_entries(site)), separators=(",", ":")).replace("<", "\\u003c")
    found["assets/site.js"] = script.replace(_INDEX, index).encode()
    return found


def package_page(package: str) -> str:
    """The path of a package's page."""
    return f"packages/{package or '_'}.html"


def service_page(service: Service) -> str:
    """The path of a service's page."""
    return f"services/{service.full_name}.html"


def _environment() -> Environment:
    try:
        import jinja2
    except ImportError:
        raise WrongUse("jinja2 is not installed: pip install 'meshpact[contracts]'") from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    environment.filters["inline"] = _inline
    environment.filters["summary"] = _summary
    environment.filters["package_page"] = package_page
    environment.filters["service_page"] = service_page
    environment.filters["type_page"] = _type_page
    return environment


def _type_page(reference: TypeRef) -> str:
    return f"{package_page(reference.package)}#{reference.target}"


def _inline(text: str) -> Markup:
    from markupsafe import Markup

    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if is_code else piece
        for is_code, piece in prose.pieces(text)
    )


def _summary(comment: str) -> Markup:
    return _inline(summary(comment))


def _prose(comment: str) -> Markup:
    from markupsafe import Markup

    parts: list[Markup] = []
    for block in prose.blocks(comment):
        if block.kind == "code":
            parts.append(Markup("<pre><code>{}</code></pre>").format("\n".join(block.items)))
        elif block.kind == "list":
            items = Markup("").join(
                Markup("<li>{}</li>").format(_inline(item)) for item in block.items
            )
            parts.append(Markup("<ul>{}</ul>").format(items))
        else:
            parts.append(Markup("<p>{}</p>").format(_inline(block.items[0])))
    return Markup("\n").join(parts)


def _entries(site: Site) -> Iterator[list[str]]:
    """What the search knows: kind, name, where it stands, page."""
    for package in site.packages:
        page = package_page(package.name)
        yield ["package", package.title, "", page]
        for service in package.services:
            yield from _of_service(service)
        yield from _of_types(package, page)


def _of_service(service: Service) -> Iterator[list[str]]:
    page = service_page(service)
    yield ["service", service.name, service.package, page]
    for method in service.methods:
        yield ["method", method.name, service.full_name, f"{page}#{method.name}"]


def _of_types(package: Package, page: str) -> Iterator[list[str]]:
    for message in package.messages:
        yield ["message", message.name, package.name, f"{page}#{message.full_name}"]
        for field in message.fields:
            yield ["field", field.name, message.full_name, f"{page}#{field.full_name}"]
    for enum in package.enums:
        yield ["enum", enum.name, package.name, f"{page}#{enum.full_name}"]
        for value in enum.values:
            yield ["value", value.name, enum.full_name, f"{page}#{enum.full_name}"]
    for error in package.errors:
        yield ["error", error.reason, error.domain, f"{page}#{error.full_name}"]
    for option in package.options:
        yield ["option", option.name, package.name, f"{page}#{option.full_name}"]
