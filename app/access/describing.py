"""Completes the description of the API (OpenAPI) from the policy: how to sign in, and what each route asks for."""

from typing import Any

from fastapi import FastAPI

from app.access.policy import Rule, rule_for
from app.kit.errors import SCHEMAS

_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A program's token, made at POST /v1/tokens: one role, narrowed to scopes.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "harmline",
        "description": "A signed-in browser; over TLS the cookie is named __Host-harmline.",
    },
}
_EITHER: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
_PERSON: list[dict[str, list[str]]] = [{"session": []}]


def _asks_for(rule: Rule) -> str:
    roles = ", ".join(sorted(rule.roles))
    if not rule.scope:
        return f"For: {roles}; for people only, no program's token is good for it."
    return f"For: {roles}. A program's token needs the scope `{rule.scope}`."


def describe(app: FastAPI) -> None:
    """Make `app.openapi` say who may call each route."""
    plain = app.openapi

    def completed() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            components = schema.setdefault("components", {})
            components["securitySchemes"] = _SCHEMES
            components.setdefault("schemas", {}).update(SCHEMAS)
            for path, item in schema["paths"].items():
                for method, operation in item.items():
                    _complete(operation, rule_for(method.upper(), path))
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = completed  # type: ignore[method-assign]  # FastAPI's own documented way to extend the description


def _complete(operation: dict[str, Any], rule: Rule | None) -> None:
    if rule is not None and not rule.public:
        operation["security"] = _EITHER if rule.scope else _PERSON
        operation["description"] = f"{operation['description']}\n\n{_asks_for(rule)}"
