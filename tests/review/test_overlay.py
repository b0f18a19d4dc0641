"""What mesh.yaml lays over contracts: others' policies, and whose word on addresses counts."""

from __future__ import annotations

import json
from collections.abc import Callable

from review.reviews import AGAINST, Ran, Repository, who

Review = Callable[..., Ran]


def test_the_policy_of_a_contract_of_others_is_compared_too(
    repository: Repository, review: Review
) -> None:
    overlay = repository.top / "overlay.yaml"
    overlay.write_text(
        json.dumps(
            {
                "shop.v1.Stock/Get": {
                    "access": {"roles": ["shop.reader"]},
                    "deadline": {"default": "1s"},
                    "audit": {"level": "AUDIT_LEVEL_NONE"},
                }
            }
        )
    )
    mesh = repository.top / "mesh.yaml"
    mesh.write_text(f"{mesh.read_text()}overlay: overlay.yaml\n")
    repository.commit("Lay over")
    repository.replace("shop.reader", "shop.writer", path=overlay)
    ran = review(*AGAINST, "--json")
    assert ("shop.v1.Stock/Get", "role-added", "widens-access") in ran.found
    assert who(ran.finding("role-dropped"), "loses") == ["web"]


def test_a_proxy_beside_a_list_with_sockets_lets_in(repository: Repository, review: Review) -> None:
    mesh = repository.top / "mesh.yaml"
    repository.replace("{mesh: [10.0.0.0/8]}", "{mesh: [127.0.0.0/8, unix]}", path=mesh)
    repository.commit("Keep to this machine")
    repository.replace("unix]}", "unix], trusted_proxies: [192.0.2.7]}", path=mesh)
    assert review(*AGAINST, "--json").finding("proxies")["class"] == "widens-access"
