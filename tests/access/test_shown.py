"""Every key of every answer, by route and role, stands in shown_keys.json: a field that is new to somebody is reviewed there.

Answers to acts are in it as well as those to questions, each act with the body of its example; an act may also be refused there.

After reading what it adds, write the list anew: HARMLINE_SHOWN=1 .venv/bin/python -m pytest tests/access/test_shown.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.access.policy import POLICY
from app.access.roles import Role
from tests.access.examples import EXAMPLES, ids_for
from tests.access.scene import make_scene
from tests.access.test_matrix import send
from tests.support.world import World

LIST = Path(__file__).with_name("shown_keys.json")
ROUTES = [(route, rule) for route, rule in POLICY.items() if route[1].startswith("/v1/") and rule.roles]
READS = [(route, rule) for route, rule in ROUTES if route[0] == "GET"]
ACTS = [(route, rule) for route, rule in ROUTES if route[0] != "GET"]
OPTIONS = [("POST", "/ways-in/passkeys/options"), ("POST", "/confirm/passkey/options")]
"""What scripts of pages are answered in JSON."""

FREE = {"masked", "cells", "payload"}
"""Keys whose value has keys of its own making: a provider's item, a table of statistics."""

FULL = ("review_id", "address", "rule", "token_id", "hold_id", "receipt_id", "event_id", "external_id", "open_request_id")
"""What is made anew, so that no list is empty."""


def keys_of(value: Any, path: str = "") -> Iterator[str]:
    """Every key of a JSON value with its way there; a list's items count as one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}{key}"
            if key not in FREE:
                yield from keys_of(inner, f"{path}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner, path)


def require_listed(shown: dict[str, list[str]], *, acts: bool) -> None:
    """The list's half about acts, or about questions, says just this. Writes it anew where that is asked for."""
    listed = json.loads(LIST.read_text())
    about = {entry: keys for entry, keys in listed.items() if (not entry.startswith("/")) is acts}
    if os.environ.get("HARMLINE_SHOWN") == "1":
        others = {entry: keys for entry, keys in listed.items() if entry not in about}
        LIST.write_text(json.dumps(others | shown, indent=1, sort_keys=True) + "\n")
        about = shown
    assert shown == about


@pytest.mark.long
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_each_role_is_shown_the_keys_of_its_list_and_no_other(world: World) -> None:
    scene, shown = await make_scene(world), {}
    for role in Role:
        async with await world.sign_in(role) as browser:
            for route, rule in READS:
                if role in rule.roles:
                    example = EXAMPLES[route]
                    await ids_for(scene, role, FULL)
                    answer = await send(browser, route, example, await ids_for(scene, role, example.fresh))
                    assert answer.status_code == 200, (route, answer.text)
                    if example.is_file:
                        assert answer.headers["content-disposition"].startswith("attachment;")
                        continue
                    shown[f"{route[1]} {role}"] = sorted(set(keys_of(answer.json())))
    require_listed(shown, acts=False)


@pytest.mark.long
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_each_act_answers_each_role_with_the_keys_of_its_list_and_no_other(world: World) -> None:
    scene, shown = await make_scene(world), {}
    for role in Role:
        async with await world.sign_in(role) as browser:
            for route, rule in (*ACTS, *((route, POLICY[route]) for route in OPTIONS)):
                if role in rule.roles:
                    example = EXAMPLES[route]
                    answer = await send(browser, route, example, await ids_for(scene, role, example.fresh))
                    assert answer.status_code == example.own, (route, answer.text)
                    if example.is_file:
                        assert answer.headers["content-disposition"].startswith("attachment;")
                        continue
                    keys = set(keys_of(answer.json())) if answer.content else set()
                    shown[f"{route[0]} {route[1]} {role}"] = sorted(keys)
    assert {entry.split()[0] for entry in shown} == {"POST", "PATCH", "DELETE"}
    require_listed(shown, acts=True)
