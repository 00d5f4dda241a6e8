"""One good request for every route of the policy, as data. A word in braces is an id that the scene gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.access.roles import Role
from tests.access.scene import Scene

ROSTER_CSV = "external_id,name,email,employed_from,employed_to\nN-1,Ellis Invented,,2015-01-01,\n"
ENROLLMENT_CSV = "external_id,reference,consent\nM-1,ref-M-1,yes\n"
SIGNED = "signed"


@dataclass(frozen=True)
class Example:
    """`send`: arguments for httpx. `own`: the answer to who may. `foreign`: whose ids to try besides, by role.

    `fresh`: names of ids that are made anew for every request that is to go through, since it uses them
    up. `people_only`: no token is good for it. `is_file`: the answer is somebody's document, byte for byte.
    """

    own: int = 200
    send: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""
    foreign: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    people_only: bool = False
    is_file: bool = False


def upload(text: str) -> dict[str, Any]:
    return {"files": {"file": ("list.csv", text, "text/csv")}}


MEMBERS_ONLY = {Role.MEMBER: ("other_member", "other_organization")}
INCIDENT = {**MEMBERS_ONLY, Role.COUNSEL: ("other_organization",)}
MATTER = {Role.COUNSEL: ("other_organization",)}
PACKETS = {Role.COUNSEL: ("other_organization", "others_packet")}
ADMINS = {Role.ADMIN: ("other_organization",)}
AUDITORS = {Role.AUDITOR: ("other_organization",)}
CASEWORKERS = {Role.CASEWORKER: ("other_organization",)}
NOTICES = {Role.CASEWORKER: ("other_organizations_notice", "notice_to_be_asked_for", "unproven_notice")}
REVIEWS = {Role.CASEWORKER: ("other_organizations_review", "refused_review")}
RULE = {
    "name": "some-service",
    "text": "title: Some service\nalerts:\n- {kind: tax.fraud, subject: ['^tax return'], details_requested: true}\n",
}
UNMATCHED = ("alert_id", "external_id")
FILES = {"fresh": ("file_connection_id",), "foreign": ADMINS}
ALERTS_CSV = "member,id,type\nref-M-1,x-1,ssn.use\n"
HEADER = {"columns": '["Whose"]', "words": " {}", "encoding": "utf-8", "after": "0"}
"""What a form about the columns of a file brings back of that file."""
PROVIDER = {"issuer": "https://login.example.internal", "client_id": "harmline", "domains": ["union.example"]}
"""Nobody's: an address inside a private network, which nothing is sent to."""
REPORT: dict[str, Any] = {
    "data": {"kind": "tax.fraud"},
    "files": {"document": ("letter.txt", b"An invented letter.", "text/plain")},
}
LOSS = {"head": "oop", "amount": "120.50", "incurred_on": "2023-03-30"}

EXAMPLES: dict[tuple[str, str], Example] = {
    ("GET", "/livez"): Example(),
    ("GET", "/readyz"): Example(),
    ("GET", "/openapi.json"): Example(),
    ("GET", "/static/{path}"): Example(),
    ("GET", "/.well-known/security.txt"): Example(),
    ("GET", "/docs"): Example(),
    ("GET", "/"): Example(303),
    ("GET", "/sign-in"): Example(),
    ("POST", "/sign-in"): Example(200, {"data": {"email": "avery@example.org"}}),
    ("GET", "/sign-in/{token}"): Example(fresh=("token",)),
    ("POST", "/sign-in/{token}"): Example(303, fresh=("token",)),
    ("POST", "/webhooks/{connection_id}/{token}"): Example(202, {SIGNED: True}),
    ("GET", "/v1/connectors/standard/schema.json"): Example(),
    ("POST", "/sign-in/passkey/options"): Example(),
    ("POST", "/sign-in/passkey"): Example(401, {"json": {"id": "none"}}),
    ("POST", "/sign-in/password"): Example(401, {"data": {"member-email": "avery@example.org", "password": "x", "code": "1"}}),
    ("GET", "/sign-in/with/{provider_id}"): Example(),
    ("GET", "/sign-in/with/{provider_id}/go"): Example(503),
    ("GET", "/sign-in/provider/callback"): Example(410, query="?state=none&code=none"),
    ("POST", "/sign-in/role"): Example(422, {"data": {"role": "none of mine"}}),
    ("GET", "/welcome"): Example(303),
    ("GET", "/ways-in"): Example(),
    ("POST", "/ways-in/passkeys/options"): Example(),
    ("POST", "/ways-in/passkeys"): Example(422, {"json": {"id": "none"}}),
    ("POST", "/ways-in/password"): Example(422, {"data": {"password": "short"}}),
    ("GET", "/ways-in/password/code"): Example(303),
    ("POST", "/ways-in/password/code"): Example(303, {"data": {"code": "123456"}}),
    ("POST", "/ways-in/remove"): Example(409, {"data": {"which": "password"}}),
    ("POST", "/ways-in/recovery-code"): Example(200, {"data": {}}),
    ("POST", "/ways-in/stop"): Example(303),
    ("GET", "/ways-in/provider"): Example(303),
    ("GET", "/confirm"): Example(),
    ("GET", "/confirm/provider"): Example(303),
    ("POST", "/confirm/passkey/options"): Example(),
    ("POST", "/confirm/passkey"): Example(401, {"json": {"id": "none"}}),
    ("POST", "/confirm/password"): Example(401, {"data": {"password": "x", "code": "1", "then": "/ways-in"}}),
    ("GET", "/recovery"): Example(),
    ("POST", "/recovery"): Example(422, {"data": {"code": "none of mine"}}),
    ("POST", "/sign-out"): Example(303),
    ("POST", "/sign-out/everywhere"): Example(303),
    ("GET", "/v1/me"): Example(),
    ("GET", "/v1/tokens"): Example(),
    ("POST", "/v1/tokens"): Example(201, {"json": {"label": "a program", "scopes": ["account"], "days": 1}}, people_only=True),
    ("DELETE", "/v1/tokens/{token_id}"): Example(204, fresh=("token_id",), foreign=dict.fromkeys(Role, ("other_member",))),
    ("GET", "/v1/me/timeline"): Example(),
    ("GET", "/v1/me/visits"): Example(),
    ("GET", "/v1/me/consents"): Example(),
    ("POST", "/v1/me/consents"): Example(
        204, {"json": {"connection_id": "{connection_id}", "given": True}}, foreign={Role.MEMBER: ("other_organization",)}
    ),
    ("GET", "/v1/me/forwarding-address"): Example(fresh=("address",)),
    ("POST", "/v1/me/forwarding-address"): Example(201, fresh=("mail_id",)),
    ("DELETE", "/v1/me/forwarding-address"): Example(204, fresh=("address",)),
    ("GET", "/v1/incidents/{incident_id}"): Example(foreign=INCIDENT),
    ("GET", "/v1/incidents/{incident_id}/originals/{event_id}"): Example(foreign=INCIDENT),
    ("GET", "/v1/incidents/{incident_id}/losses"): Example(foreign=INCIDENT),
    ("POST", "/v1/incidents/{incident_id}/losses"): Example(201, {"json": LOSS}, foreign=MEMBERS_ONLY),
    ("POST", "/v1/incidents/{incident_id}/verdict"): Example(
        200, {"json": {"answer": "not_me", "shown": ["{alert_id}"]}}, foreign=MEMBERS_ONLY
    ),
    ("POST", "/v1/reports"): Example(202, REPORT),
    ("GET", "/v1/incidents/{incident_id}/documents/{event_id}"): Example(fresh=("document_id",), foreign=INCIDENT, is_file=True),
    ("GET", "/v1/matters"): Example(),
    ("GET", "/v1/matters/{matter_id}/incidents"): Example(foreign=MATTER),
    ("GET", "/v1/matters/{matter_id}/packets"): Example(foreign=MATTER),
    ("POST", "/v1/matters/{matter_id}/packets"): Example(
        201, {"json": {"prefix": "OPOA"}}, foreign=MATTER, fresh=("no_packets",), people_only=True
    ),
    ("GET", "/v1/matters/{matter_id}/packets/{packet_id}"): Example(foreign=PACKETS),
    ("POST", "/v1/matters/{matter_id}/packets/{packet_id}/order"): Example(
        foreign=PACKETS, fresh=("packet_id",), people_only=True
    ),
    ("POST", "/v1/matters/{matter_id}/packets/{packet_id}/download"): Example(
        foreign=PACKETS, fresh=("ready_packet_id",), people_only=True, is_file=True
    ),
    ("GET", "/v1/statistics/incidents"): Example(),
    ("GET", "/v1/queues/unmatched"): Example(),
    ("GET", "/v1/queues/quarantined"): Example(),
    ("GET", "/v1/queues/set-aside"): Example(),
    ("GET", "/v1/queues/not-found"): Example(),
    ("POST", "/v1/queues/not-found/{event_id}/retry"): Example(204, fresh=("event_id",), foreign=NOTICES),
    ("POST", "/v1/queues/not-found/{event_id}/leave"): Example(204, fresh=("event_id",), foreign=NOTICES),
    ("POST", "/v1/queues/unmatched/{alert_id}/member"): Example(
        204, {"json": {"external_id": "{external_id}"}}, fresh=UNMATCHED, foreign=CASEWORKERS
    ),
    ("POST", "/v1/queues/receipts/{receipt_id}/retry"): Example(fresh=("receipt_id",), foreign=CASEWORKERS),
    ("GET", "/v1/queues/reviews"): Example(),
    ("GET", "/v1/queues/reviews/{event_id}"): Example(fresh=("review_id",), foreign=REVIEWS, people_only=True),
    ("POST", "/v1/queues/reviews/{event_id}"): Example(
        200, {"json": {"kind": "tax.fraud"}}, fresh=("review_id",), foreign=REVIEWS, people_only=True
    ),
    ("GET", "/v1/queues/reviews/{event_id}/rule"): Example(
        query="?kind=tax.fraud", fresh=("review_id",), foreign=REVIEWS, people_only=True
    ),
    ("GET", "/v1/members"): Example(),
    ("GET", "/v1/forwarding-addresses"): Example(),
    ("POST", "/v1/members/import"): Example(send=upload(ROSTER_CSV)),
    ("POST", "/v1/enrollments/import"): Example(
        send=upload(ENROLLMENT_CSV), query="?connection_id={connection_id}", foreign=ADMINS
    ),
    ("POST", "/v1/members/{member_id}/erasure"): Example(204, fresh=("member_id",), foreign=ADMINS),
    ("GET", "/v1/connections"): Example(),
    ("POST", "/v1/connections"): Example(
        201, {"json": {"connector": "standard", "title": "Another Monitor", "sender": "provider"}}
    ),
    ("GET", "/v1/connection-health"): Example(),
    ("GET", "/v1/connections/{connection_id}"): Example(foreign=ADMINS),
    ("PATCH", "/v1/connections/{connection_id}"): Example(send={"json": {"title": "A new name"}}, foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/secret"): Example(send={"json": {}}, fresh=("connection_id",), foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/address"): Example(send={"json": {}}, fresh=("connection_id",), foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/retire"): Example(fresh=("connection_id",), foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/pause"): Example(fresh=("connection_id",), foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/resume"): Example(fresh=("connection_id",), foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/close"): Example(fresh=("connection_id",), foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/poll"): Example(202, {"json": {}}, fresh=("connection_id",), foreign=ADMINS),
    ("GET", "/v1/connections/{connection_id}/disputes"): Example(foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/disputes"): Example(
        201, {"json": {"received_from": "2023-05-01T00:00:00Z", "reason": "Why."}}, fresh=("connection_id",), foreign=ADMINS
    ),
    ("POST", "/v1/connections/{connection_id}/disputes/{dispute_id}/withdraw"): Example(foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/files"): Example(send=upload(ALERTS_CSV), **FILES),
    ("GET", "/v1/connections/{connection_id}/documents"): Example(fresh=("rule",), foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/documents"): Example(201, {"json": RULE}, fresh=("mail_id",), foreign=ADMINS),
    ("POST", "/v1/connections/{connection_id}/documents/preview"): Example(
        200, {"json": RULE}, fresh=("mail_id",), foreign=ADMINS
    ),
    ("DELETE", "/v1/connections/{connection_id}/documents"): Example(query="?name={name}", fresh=("rule",), foreign=ADMINS),
    ("GET", "/v1/connectors"): Example(),
    ("GET", "/v1/accounts"): Example(),
    ("POST", "/v1/accounts"): Example(201, {"json": {"email": "new@example.org", "role": "{role}"}}),
    ("DELETE", "/v1/accounts/{account_id}/roles/{role}"): Example(
        204, fresh=("account_id",), foreign={Role.ADMIN: ("other_organization",), Role.COUNSEL: ("other_organization",)}
    ),
    ("POST", "/v1/accounts/{account_id}/recovery"): Example(
        202, fresh=("account_id",), foreign={Role.ADMIN: ("other_organization",), Role.COUNSEL: ("other_organization",)}
    ),
    ("POST", "/v1/members/{member_id}/recovery"): Example(202, fresh=("member_id",), foreign=ADMINS),
    ("GET", "/v1/identity-provider"): Example(),
    ("POST", "/v1/identity-provider"): Example(422, {"json": PROVIDER}),
    ("DELETE", "/v1/identity-provider"): Example(204, fresh=("provider_id",)),
    ("POST", "/v1/identity-provider/off"): Example(fresh=("provider_id",)),
    ("POST", "/v1/identity-provider/on"): Example(fresh=("provider_id",)),
    ("GET", "/v1/holds"): Example(),
    ("POST", "/v1/holds"): Example(201, {"json": {"member_id": "{member_id}", "reason": "A claim is coming."}}, foreign=MATTER),
    ("DELETE", "/v1/holds/{hold_id}"): Example(204, fresh=("hold_id",), foreign=MATTER),
    ("GET", "/v1/break-glass"): Example(),
    ("POST", "/v1/break-glass"): Example(201, {"json": {"external_id": "M-2", "reason": "They cannot be reached."}}),
    ("POST", "/v1/break-glass/{request_id}/approval"): Example(fresh=("request_id",), foreign=ADMINS),
    ("POST", "/v1/break-glass/{request_id}/end"): Example(204, fresh=("request_id",), foreign={**ADMINS, **CASEWORKERS}),
    ("GET", "/v1/break-glass/{request_id}/timeline"): Example(fresh=("open_request_id",), foreign=CASEWORKERS),
    ("GET", "/v1/ledger"): Example(),
    ("GET", "/v1/ledger/checkpoint"): Example(is_file=True),
    ("GET", "/v1/ledger/consistency"): Example(query="?old=1&new=2", is_file=True),
    ("GET", "/v1/ledger/tile/{level}/{index}"): Example(query="?width=1", is_file=True),
    ("GET", "/v1/ledger/entries/{entry_id}/proof"): Example(foreign=AUDITORS, is_file=True),
    ("GET", "/v1/ledger/key"): Example(is_file=True),
    ("GET", "/v1/ledger/timestamps/{size}/{authority}"): Example(is_file=True),
    ("GET", "/timeline"): Example(),
    ("GET", "/visits"): Example(),
    ("GET", "/incidents/{incident_id}"): Example(foreign=INCIDENT),
    ("GET", "/incidents/{incident_id}/originals/{event_id}"): Example(foreign=INCIDENT),
    ("POST", "/incidents/{incident_id}/verdict"): Example(
        303, {"data": {"answer": "not_me", "shown": ["{alert_id}"]}}, foreign=MEMBERS_ONLY
    ),
    ("POST", "/incidents/{incident_id}/losses"): Example(303, {"data": LOSS}, foreign=MEMBERS_ONLY),
    ("GET", "/report"): Example(),
    ("POST", "/report"): Example(303, REPORT),
    ("POST", "/consents"): Example(
        303, {"data": {"connection_id": "{connection_id}", "given": "yes"}}, foreign={Role.MEMBER: ("other_organization",)}
    ),
    ("GET", "/forwarding"): Example(fresh=("address",)),
    ("POST", "/forwarding"): Example(303, {"data": {"todo": "make"}}, fresh=("mail_id",)),
    ("GET", "/matters"): Example(),
    ("GET", "/matters/{matter_id}"): Example(foreign=MATTER),
    ("GET", "/matters/{matter_id}/packets"): Example(foreign=MATTER),
    ("POST", "/matters/{matter_id}/packets"): Example(
        303, {"data": {"prefix": "OPOA", "variant": "sealed"}}, foreign=MATTER, fresh=("no_packets",), people_only=True
    ),
    ("GET", "/matters/{matter_id}/packets/{packet_id}"): Example(foreign=PACKETS),
    ("POST", "/matters/{matter_id}/packets/{packet_id}/order"): Example(
        303, foreign=PACKETS, fresh=("packet_id",), people_only=True
    ),
    ("POST", "/matters/{matter_id}/packets/{packet_id}/download"): Example(
        foreign=PACKETS, fresh=("ready_packet_id",), people_only=True, is_file=True
    ),
    ("GET", "/statistics"): Example(),
    ("GET", "/queues"): Example(),
    ("GET", "/queues/unmatched/{alert_id}"): Example(fresh=UNMATCHED, foreign=CASEWORKERS),
    ("POST", "/queues/unmatched/{alert_id}"): Example(
        303, {"data": {"external_id": "{external_id}", "sure": "yes"}}, fresh=UNMATCHED, foreign=CASEWORKERS
    ),
    ("POST", "/queues/receipts/{receipt_id}"): Example(303, fresh=("receipt_id",), foreign=CASEWORKERS),
    ("POST", "/queues/not-found/{event_id}"): Example(303, {"data": {"todo": "leave"}}, fresh=("event_id",), foreign=NOTICES),
    ("GET", "/queues/reviews/{event_id}"): Example(fresh=("review_id",), foreign=REVIEWS, people_only=True),
    ("POST", "/queues/reviews/{event_id}"): Example(
        303, {"data": {"todo": "alert", "kind": "tax.fraud"}}, fresh=("review_id",), foreign=REVIEWS, people_only=True
    ),
    ("GET", "/emergency"): Example(),
    ("POST", "/emergency"): Example(303, {"data": {"external_id": "M-2", "reason": "They cannot be reached."}}),
    ("POST", "/emergency/{request_id}/approval"): Example(303, fresh=("request_id",), foreign=ADMINS),
    ("POST", "/emergency/{request_id}/end"): Example(303, fresh=("request_id",), foreign={**ADMINS, **CASEWORKERS}),
    ("GET", "/emergency/{request_id}"): Example(fresh=("open_request_id",), foreign=CASEWORKERS),
    ("GET", "/admin"): Example(),
    ("GET", "/admin/connections/new"): Example(query="?connector=standard"),
    ("GET", "/admin/connections/{connection_id}"): Example(foreign=ADMINS),
    ("POST", "/admin/connections/{connection_id}"): Example(
        303, {"data": {"todo": "pause"}}, fresh=("connection_id",), foreign=ADMINS
    ),
    ("GET", "/admin/connections/{connection_id}/remove"): Example(foreign=ADMINS),
    ("POST", "/admin/connections"): Example(
        200, {"data": {"connector": "standard", "title": "Another Monitor", "sender": "provider"}}
    ),
    ("GET", "/admin/connections/{connection_id}/files"): Example(**FILES),
    ("POST", "/admin/connections/{connection_id}/files"): Example(send={**upload(ALERTS_CSV), "data": {"todo": "add"}}, **FILES),
    ("POST", "/admin/connections/{connection_id}/columns"): Example(
        303, {"data": {**HEADER, "member": "Whose", "kind_all": "ssn.use", "todo": "save"}}, **FILES
    ),
    ("GET", "/admin/connections/{connection_id}/rules"): Example(fresh=("rule",), foreign=ADMINS),
    ("GET", "/admin/connections/{connection_id}/rules/edit"): Example(fresh=("mail_id",), foreign=ADMINS),
    ("POST", "/admin/connections/{connection_id}/rules"): Example(
        303, {"data": {**RULE, "todo": "save"}}, fresh=("mail_id",), foreign=ADMINS
    ),
    ("POST", "/admin/connections/{connection_id}/rules/preview"): Example(
        200, {"data": RULE}, fresh=("mail_id",), foreign=ADMINS
    ),
    ("GET", "/admin/sign-in"): Example(),
    ("POST", "/admin/sign-in"): Example(422, {"data": {**PROVIDER, "todo": "keep"}}),
    ("GET", "/admin/sign-in/remove"): Example(fresh=("provider_id",)),
    ("POST", "/admin/people"): Example(303, {"data": {"email": "new@example.org", "role": "staff"}}),
    ("POST", "/admin/recovery"): Example(200, {"data": {"who": "M-2"}}),
    ("POST", "/admin/roster"): Example(200, {**upload(ROSTER_CSV), "data": {"todo": "import"}}),
    ("GET", "/ledger"): Example(),
}


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """A template with every word in braces replaced."""
    if isinstance(value, str):
        return value.format_map(ids) if value.startswith(("{", "/", "?")) else value
    if isinstance(value, dict):
        return {key: filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return value


async def ids_for(scene: Scene, role: Role, fresh: tuple[str, ...]) -> dict[str, str]:
    """The ids of the caller's own things; those named in `fresh` are made now."""
    granted = Role.COUNSEL if role is Role.COUNSEL else Role.STAFF
    ids = {
        **scene.places["own"],
        "role": granted.value,
        "path": "look.css",
        "name": "none",
        "level": "0",
        "index": "0",
        "size": "1",
        "token": scene.places["own"]["connection_token"],
    }
    ids |= {name: str(scene.missing()) for name in ("token_id", "account_id", "hold_id", "receipt_id", "request_id")}
    if "token_id" in fresh:
        ids["token_id"] = str((await scene.token(role))[0])
    if "account_id" in fresh:
        ids["account_id"] = str(await scene.staff_account(granted))
    if "hold_id" in fresh:
        ids["hold_id"] = str(await scene.hold(scene.world.union))
    if "member_id" in fresh:
        ids["member_id"] = str(await scene.another_member())
    if "provider_id" in fresh:
        await scene.own_sign_in(scene.world.union)
    if "token" in fresh:
        ids["token"] = await scene.link()
    if "document_id" in fresh:
        ids |= await scene.document()
    if {"request_id", "open_request_id"} & set(fresh):
        ids["request_id"] = str(await scene.break_glass(scene.world.union, approved="open_request_id" in fresh))
    return ids | await _packet_ids(scene, fresh) | await _queue_ids(scene, fresh)


async def _packet_ids(scene: Scene, fresh: tuple[str, ...]) -> dict[str, str]:
    """A packet that was shown, or one that is ready."""
    if "no_packets" in fresh:
        await scene.no_packets_under_way()
    if {"packet_id", "ready_packet_id"} & set(fresh):
        return {"packet_id": str(await scene.packet(scene.world.union, ready="ready_packet_id" in fresh))}
    return {}


async def _queue_ids(scene: Scene, fresh: tuple[str, ...]) -> dict[str, str]:
    """A connection, an alert that is nobody's and a member to give it to, a delivery not understood, a notice not found."""
    ids = {"external_id": "M-1"}
    if "connection_id" in fresh:
        ids["connection_id"] = str(await scene.polled_connection())
    if "file_connection_id" in fresh:
        ids["connection_id"] = str(await scene.file_connection())
    if "external_id" in fresh:
        ids["external_id"] = await scene.another_number()
        ids["alert_id"] = str(await scene.nobodys_alert())
    if {"mail_id", "rule"} & set(fresh):
        ids["connection_id"] = str(await scene.mail_connection())
    if "rule" in fresh:
        ids["name"] = await scene.rule()
    if "address" in fresh:
        await scene.asked_address()
    if "review_id" in fresh:
        ids["event_id"] = str(await scene.left_to_a_person())
    if "receipt_id" in fresh:
        ids["receipt_id"] = str(await scene.unreadable_receipt())
    if "event_id" in fresh:
        ids["event_id"] = str(await scene.notice_not_found())
    return ids
