"""The description of the API is complete: every route, every answer, every body; and nothing of it is invented."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.access.policy import POLICY
from app.main import create_app
from connectors.standard.schema import json_schema

SPEC: dict[str, Any] = create_app(work=False).openapi()
DESCRIBED = [route for route in POLICY if route[1].startswith(("/v1", "/webhooks", "/livez", "/readyz"))]

FILES = {
    "/v1/incidents/{incident_id}/documents/{event_id}",
    *(path for _, path in POLICY if path.startswith("/v1/ledger/")),
    "/v1/matters/{matter_id}/packets/{packet_id}/download",
}
"""What answers with bytes to be saved."""


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = SPEC["paths"][path][method.lower()]
    return found


def test_every_route_for_programs_is_described_and_no_page_is() -> None:
    described = {(method.upper(), path) for path, item in SPEC["paths"].items() for method in item}
    assert described == set(DESCRIBED)


@pytest.mark.parametrize(("method", "path"), DESCRIBED)
def test_a_route_says_what_it_does_and_answers(method: str, path: str) -> None:
    said = operation(method, path)
    assert said["summary"]
    assert said["description"].endswith((".", "!"))
    assert said["tags"]
    good = [status for status in said["responses"] if status.startswith("2")]
    assert len(good) == 1
    if path in FILES:
        assert {answer["schema"]["format"] for answer in said["responses"]["200"]["content"].values()} == {"binary"}
    elif good != ["204"]:
        assert said["responses"][good[0]]["content"]["application/json"]["schema"], "an answer without a shape"
    for status, answer in said["responses"].items():
        assert answer["description"]
        if status >= "400":
            assert set(answer["content"]) == {"application/problem+json"}, status
    expected = {"400", "401", "403", "404", "405", "409", "413", "422", "500", "503"}
    assert expected <= set(said["responses"])


@pytest.mark.parametrize(("method", "path"), DESCRIBED)
def test_a_route_says_who_may(method: str, path: str) -> None:
    """The gate reads the token itself, so the description is taken from the policy."""
    said, rule = operation(method, path), POLICY[method, path]
    if rule.public:
        assert said.get("security", []) == []
    elif not rule.scope:
        assert said["security"] == [{"session": []}]
        assert "for people only" in said["description"]
    else:
        assert said["security"] == [{"token": []}, {"session": []}]
        assert f"`{rule.scope}`" in said["description"]


def test_the_ways_to_sign_in_are_described() -> None:
    schemes = SPEC["components"]["securitySchemes"]
    assert schemes["token"]["type"] == "http"
    assert schemes["token"]["scheme"] == "bearer"
    assert (schemes["session"]["type"], schemes["session"]["in"]) == ("apiKey", "cookie")


def test_the_webhook_says_what_it_takes() -> None:
    said = operation("POST", "/webhooks/{connection_id}/{token}")
    body = said["requestBody"]
    assert body["required"] is True
    assert set(body["content"]) == {"application/json"}
    headers = {parameter["name"] for parameter in said["parameters"] if parameter["in"] == "header"}
    assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert {"202", "401", "410", "413", "415", "503"} <= set(said["responses"])
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_request_bodies_refuse_what_they_do_not_know() -> None:
    names = {
        ref.rpartition("/")[2]
        for method, path in DESCRIBED
        for content in operation(method, path).get("requestBody", {}).get("content", {}).values()
        if (ref := content["schema"].get("$ref"))
    }
    assert names
    for name in names:
        schema = SPEC["components"]["schemas"][name]
        assert schema.get("additionalProperties") is False or name.startswith("Body_"), name


def test_every_schema_is_a_schema() -> None:
    for schema in SPEC["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    refs = set(re.findall(r"'\$ref': '([^']+)'", repr(SPEC)))
    assert "#/components/schemas/ProblemBody" in refs
    assert {ref.rpartition("/")[2] for ref in refs if ref.startswith("#/components/schemas/")} <= set(
        SPEC["components"]["schemas"]
    )
    assert {ref for ref in refs if not ref.startswith("#/components/schemas/")} == set()


def test_no_secret_or_machine_is_in_it() -> None:
    text = repr(SPEC)
    for word in ("localhost", "127.0.0.1", "/work", "whsec_", "hl_"):
        assert word not in text
