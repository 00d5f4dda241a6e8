"""The one policy table: every route, who may call it, and whose rows it may touch. What is not listed is refused."""

from dataclasses import dataclass, replace
from enum import StrEnum

from app.access.roles import Role, Standing


class Reach(StrEnum):
    """Whose rows a route may touch, within the caller's own organization."""

    NOBODY = "nobody"
    SELF = "self"
    MATTER = "matter"
    SELF_OR_MATTER = "self_or_matter"
    ORGANIZATION = "organization"


@dataclass(frozen=True)
class Rule:
    """One route's rule. `scope` is what a program's token must carry; none: no program. No roles: everybody, signed in or not.

    `standings`: how far somebody must be signed in. `fresh`: in these roles, whoever is all the way in must have shown anew that
    it is them.
    """

    roles: frozenset[Role]
    reach: Reach
    scope: str = ""
    standings: frozenset[Standing] = frozenset({Standing.FULL})
    fresh: frozenset[Role] = frozenset()

    @property
    def public(self) -> bool:
        """Whether nobody needs to sign in."""
        return not self.roles


def _rule(reach: Reach, scope: str, *roles: Role) -> Rule:
    return Rule(frozenset(roles), reach, scope)


def _fresh(rule: Rule) -> Rule:
    """The same rule for what nobody may do who only found a browser open; no program either, which can show nothing anew.

    Source: security.md E11.
    """
    return replace(rule, scope="", fresh=rule.roles)


_PUBLIC = Rule(frozenset(), Reach.NOBODY)
_EVERY_ROLE = tuple(Role)
_SIGNED_IN = _rule(Reach.SELF, "account", *_EVERY_ROLE)
_LEAVE = replace(_SIGNED_IN, standings=frozenset(Standing))
_ACCOUNT = _rule(Reach.SELF, "", *_EVERY_ROLE)
_WAYS_IN = replace(_ACCOUNT, standings=frozenset({Standing.SETUP, Standing.FULL}), fresh=frozenset(Role))
_SETTING_UP = replace(_WAYS_IN, fresh=frozenset())
_PASSWORD = replace(_WAYS_IN, roles=frozenset({Role.MEMBER}))
_LOST = replace(_ACCOUNT, standings=frozenset({Standing.MAILBOX}))
_OWN_READ = _rule(Reach.SELF, "timeline:read", Role.MEMBER)
_OWN_WRITE = _rule(Reach.SELF, "timeline:write", Role.MEMBER)
_INCIDENT = _rule(Reach.SELF_OR_MATTER, "timeline:read", Role.MEMBER, Role.COUNSEL)
# A member reads and saves what is theirs at any time; counsel takes somebody's file along. Nobody's program does.
_DOCUMENT = replace(_INCIDENT, scope="", fresh=frozenset({Role.COUNSEL}))
_MATTERS = _rule(Reach.MATTER, "matters:read", Role.COUNSEL)
# Without a scope: a person takes a packet along, who has just shown that it is them.
_PACKETS = _rule(Reach.MATTER, "", Role.COUNSEL)
_STATISTICS = _rule(Reach.NOBODY, "statistics:read", Role.STAFF, Role.COUNSEL)
_QUEUES = _rule(Reach.ORGANIZATION, "queues:read", Role.CASEWORKER)
_QUEUES_WRITE = _rule(Reach.ORGANIZATION, "queues:write", Role.CASEWORKER)
# Without a scope: what a member agreed to is that a person reads it.
_REVIEWS = _rule(Reach.ORGANIZATION, "", Role.CASEWORKER)
_ROSTER = _rule(Reach.ORGANIZATION, "roster:write", Role.ADMIN)
_CONNECTIONS = _rule(Reach.ORGANIZATION, "connections:write", Role.ADMIN)
# A program hands in files night by night, where nobody is asked anything: it adds alerts, and changes none.
_HANDING_IN = replace(_fresh(_CONNECTIONS), scope=_CONNECTIONS.scope)
_ROLES = _rule(Reach.ORGANIZATION, "roles:read", Role.ADMIN, Role.COUNSEL)
# Without a scope: no program looks at anybody's timeline in an emergency.
_BREAK_GLASS = _rule(Reach.ORGANIZATION, "", Role.CASEWORKER, Role.ADMIN)
_ASKS = _rule(Reach.ORGANIZATION, "", Role.CASEWORKER)
_BY_ADMIN = _fresh(_rule(Reach.ORGANIZATION, "", Role.ADMIN))
_OWN_SIGN_IN = _rule(Reach.ORGANIZATION, "roles:read", Role.ADMIN)
_LEDGER = _rule(Reach.ORGANIZATION, "ledger:read", Role.AUDITOR)

POLICY: dict[tuple[str, str], Rule] = {
    ("GET", "/livez"): _PUBLIC,
    ("GET", "/readyz"): _PUBLIC,
    ("GET", "/openapi.json"): _PUBLIC,
    ("GET", "/static/{path}"): _PUBLIC,
    ("GET", "/.well-known/security.txt"): _PUBLIC,
    ("GET", "/docs"): _SIGNED_IN,
    ("GET", "/"): _SIGNED_IN,
    ("GET", "/sign-in"): _PUBLIC,
    ("POST", "/sign-in"): _PUBLIC,
    ("GET", "/sign-in/with/{provider_id}"): _PUBLIC,
    ("GET", "/sign-in/with/{provider_id}/go"): _PUBLIC,
    ("GET", "/sign-in/provider/callback"): _PUBLIC,
    ("GET", "/sign-in/{token}"): _PUBLIC,
    ("POST", "/sign-in/{token}"): _PUBLIC,
    ("POST", "/webhooks/{connection_id}/{token}"): _PUBLIC,
    ("GET", "/v1/connectors/standard/schema.json"): _PUBLIC,
    ("POST", "/sign-in/passkey/options"): _PUBLIC,
    ("POST", "/sign-in/passkey"): _PUBLIC,
    ("POST", "/sign-in/password"): _PUBLIC,
    ("POST", "/sign-in/role"): _ACCOUNT,
    ("GET", "/welcome"): _SETTING_UP,
    ("GET", "/ways-in"): _ACCOUNT,
    ("POST", "/ways-in/passkeys/options"): _WAYS_IN,
    ("POST", "/ways-in/passkeys"): _WAYS_IN,
    ("POST", "/ways-in/password"): _PASSWORD,
    ("GET", "/ways-in/password/code"): replace(_PASSWORD, fresh=frozenset()),
    ("POST", "/ways-in/password/code"): _PASSWORD,
    ("POST", "/ways-in/remove"): _fresh(_ACCOUNT),
    ("POST", "/ways-in/recovery-code"): _fresh(_ACCOUNT),
    ("POST", "/ways-in/stop"): _ACCOUNT,
    ("GET", "/ways-in/provider"): _fresh(_ACCOUNT),
    ("GET", "/confirm"): _ACCOUNT,
    ("GET", "/confirm/provider"): _ACCOUNT,
    ("POST", "/confirm/passkey/options"): _ACCOUNT,
    ("POST", "/confirm/passkey"): _ACCOUNT,
    ("POST", "/confirm/password"): _ACCOUNT,
    ("GET", "/recovery"): _LOST,
    ("POST", "/recovery"): _LOST,
    ("POST", "/sign-out"): _LEAVE,
    ("POST", "/sign-out/everywhere"): _SIGNED_IN,
    ("GET", "/v1/me"): _SIGNED_IN,
    ("GET", "/v1/tokens"): _SIGNED_IN,
    ("POST", "/v1/tokens"): _fresh(_SIGNED_IN),
    ("DELETE", "/v1/tokens/{token_id}"): _SIGNED_IN,
    ("GET", "/v1/me/timeline"): _OWN_READ,
    ("GET", "/v1/me/visits"): _OWN_READ,
    ("GET", "/v1/me/consents"): _OWN_READ,
    ("POST", "/v1/me/consents"): _OWN_WRITE,
    ("GET", "/v1/me/forwarding-address"): _OWN_READ,
    ("POST", "/v1/me/forwarding-address"): _OWN_WRITE,
    ("DELETE", "/v1/me/forwarding-address"): _OWN_WRITE,
    ("GET", "/v1/incidents/{incident_id}"): _INCIDENT,
    ("GET", "/v1/incidents/{incident_id}/originals/{event_id}"): _INCIDENT,
    ("GET", "/v1/incidents/{incident_id}/losses"): _INCIDENT,
    ("POST", "/v1/incidents/{incident_id}/losses"): _OWN_WRITE,
    ("POST", "/v1/incidents/{incident_id}/verdict"): _OWN_WRITE,
    ("POST", "/v1/reports"): _OWN_WRITE,
    ("GET", "/v1/incidents/{incident_id}/documents/{event_id}"): _DOCUMENT,
    ("GET", "/v1/matters"): _MATTERS,
    ("GET", "/v1/matters/{matter_id}/incidents"): _MATTERS,
    ("GET", "/v1/matters/{matter_id}/packets"): _MATTERS,
    ("POST", "/v1/matters/{matter_id}/packets"): _PACKETS,
    ("GET", "/v1/matters/{matter_id}/packets/{packet_id}"): _MATTERS,
    ("POST", "/v1/matters/{matter_id}/packets/{packet_id}/order"): _fresh(_PACKETS),
    ("POST", "/v1/matters/{matter_id}/packets/{packet_id}/download"): _fresh(_PACKETS),
    ("GET", "/v1/statistics/incidents"): _STATISTICS,
    ("GET", "/v1/queues/unmatched"): _QUEUES,
    ("GET", "/v1/queues/quarantined"): _QUEUES,
    ("GET", "/v1/queues/set-aside"): _QUEUES,
    ("GET", "/v1/queues/not-found"): _QUEUES,
    ("POST", "/v1/queues/not-found/{event_id}/retry"): _QUEUES_WRITE,
    ("POST", "/v1/queues/not-found/{event_id}/leave"): _QUEUES_WRITE,
    ("POST", "/v1/queues/unmatched/{alert_id}/member"): _QUEUES_WRITE,
    ("POST", "/v1/queues/receipts/{receipt_id}/retry"): _QUEUES_WRITE,
    ("GET", "/v1/queues/reviews"): _QUEUES,
    ("GET", "/v1/queues/reviews/{event_id}"): _REVIEWS,
    ("POST", "/v1/queues/reviews/{event_id}"): _REVIEWS,
    ("GET", "/v1/queues/reviews/{event_id}/rule"): _REVIEWS,
    ("GET", "/v1/members"): _fresh(_ROSTER),
    ("POST", "/v1/members/import"): _ROSTER,
    ("POST", "/v1/enrollments/import"): _ROSTER,
    ("GET", "/v1/forwarding-addresses"): _ROSTER,
    ("POST", "/v1/members/{member_id}/erasure"): _fresh(_ROSTER),
    ("GET", "/v1/connections"): _CONNECTIONS,
    ("POST", "/v1/connections"): _fresh(_CONNECTIONS),
    ("GET", "/v1/connection-health"): _CONNECTIONS,
    ("GET", "/v1/connections/{connection_id}"): _CONNECTIONS,
    ("PATCH", "/v1/connections/{connection_id}"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/secret"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/address"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/retire"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/pause"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/resume"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/close"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/poll"): _CONNECTIONS,
    ("GET", "/v1/connections/{connection_id}/disputes"): _CONNECTIONS,
    ("POST", "/v1/connections/{connection_id}/disputes"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/disputes/{dispute_id}/withdraw"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/files"): _HANDING_IN,
    ("GET", "/v1/connections/{connection_id}/documents"): _CONNECTIONS,
    ("POST", "/v1/connections/{connection_id}/documents"): _fresh(_CONNECTIONS),
    ("POST", "/v1/connections/{connection_id}/documents/preview"): _CONNECTIONS,
    ("DELETE", "/v1/connections/{connection_id}/documents"): _fresh(_CONNECTIONS),
    ("GET", "/v1/connectors"): _CONNECTIONS,
    ("GET", "/v1/accounts"): _ROLES,
    ("POST", "/v1/accounts"): _fresh(_ROLES),
    ("DELETE", "/v1/accounts/{account_id}/roles/{role}"): _fresh(_ROLES),
    ("POST", "/v1/accounts/{account_id}/recovery"): _fresh(_ROLES),
    ("POST", "/v1/members/{member_id}/recovery"): _BY_ADMIN,
    ("GET", "/v1/identity-provider"): _OWN_SIGN_IN,
    ("POST", "/v1/identity-provider"): _fresh(_OWN_SIGN_IN),
    ("DELETE", "/v1/identity-provider"): _fresh(_OWN_SIGN_IN),
    ("POST", "/v1/identity-provider/off"): _fresh(_OWN_SIGN_IN),
    ("POST", "/v1/identity-provider/on"): _fresh(_OWN_SIGN_IN),
    ("GET", "/v1/holds"): _rule(Reach.MATTER, "holds:write", Role.COUNSEL),
    ("POST", "/v1/holds"): _rule(Reach.MATTER, "holds:write", Role.COUNSEL),
    ("DELETE", "/v1/holds/{hold_id}"): _rule(Reach.MATTER, "holds:write", Role.COUNSEL),
    ("GET", "/v1/break-glass"): _BREAK_GLASS,
    ("POST", "/v1/break-glass"): _fresh(_ASKS),
    ("POST", "/v1/break-glass/{request_id}/approval"): _BY_ADMIN,
    ("POST", "/v1/break-glass/{request_id}/end"): _BREAK_GLASS,
    ("GET", "/v1/break-glass/{request_id}/timeline"): _ASKS,
    ("GET", "/v1/ledger"): _LEDGER,
    ("GET", "/v1/ledger/checkpoint"): _LEDGER,
    ("GET", "/v1/ledger/consistency"): _LEDGER,
    ("GET", "/v1/ledger/tile/{level}/{index}"): _LEDGER,
    ("GET", "/v1/ledger/entries/{entry_id}/proof"): _LEDGER,
    ("GET", "/v1/ledger/key"): _LEDGER,
    ("GET", "/v1/ledger/timestamps/{size}/{authority}"): _LEDGER,
    ("GET", "/timeline"): _OWN_READ,
    ("GET", "/visits"): _OWN_READ,
    ("GET", "/incidents/{incident_id}"): _INCIDENT,
    ("GET", "/incidents/{incident_id}/originals/{event_id}"): _INCIDENT,
    ("POST", "/incidents/{incident_id}/verdict"): _OWN_WRITE,
    ("POST", "/incidents/{incident_id}/losses"): _OWN_WRITE,
    ("GET", "/report"): _OWN_WRITE,
    ("POST", "/report"): _OWN_WRITE,
    ("POST", "/consents"): _OWN_WRITE,
    ("GET", "/forwarding"): _OWN_READ,
    ("POST", "/forwarding"): _OWN_WRITE,
    ("GET", "/matters"): _MATTERS,
    ("GET", "/matters/{matter_id}"): _MATTERS,
    ("GET", "/matters/{matter_id}/packets"): _MATTERS,
    ("POST", "/matters/{matter_id}/packets"): _PACKETS,
    ("GET", "/matters/{matter_id}/packets/{packet_id}"): _MATTERS,
    ("POST", "/matters/{matter_id}/packets/{packet_id}/order"): _fresh(_PACKETS),
    ("POST", "/matters/{matter_id}/packets/{packet_id}/download"): _fresh(_PACKETS),
    ("GET", "/statistics"): _STATISTICS,
    ("GET", "/queues"): _QUEUES,
    ("GET", "/queues/unmatched/{alert_id}"): _QUEUES_WRITE,
    ("POST", "/queues/unmatched/{alert_id}"): _QUEUES_WRITE,
    ("POST", "/queues/receipts/{receipt_id}"): _QUEUES_WRITE,
    ("POST", "/queues/not-found/{event_id}"): _QUEUES_WRITE,
    ("GET", "/queues/reviews/{event_id}"): _REVIEWS,
    ("POST", "/queues/reviews/{event_id}"): _REVIEWS,
    ("GET", "/emergency"): _BREAK_GLASS,
    ("POST", "/emergency"): _fresh(_ASKS),
    ("POST", "/emergency/{request_id}/approval"): _BY_ADMIN,
    ("POST", "/emergency/{request_id}/end"): _BREAK_GLASS,
    ("GET", "/emergency/{request_id}"): _ASKS,
    ("GET", "/admin"): _CONNECTIONS,
    ("POST", "/admin/connections"): _fresh(_CONNECTIONS),
    ("GET", "/admin/connections/new"): _CONNECTIONS,
    ("GET", "/admin/connections/{connection_id}"): _CONNECTIONS,
    ("POST", "/admin/connections/{connection_id}"): _fresh(_CONNECTIONS),
    ("GET", "/admin/connections/{connection_id}/remove"): _CONNECTIONS,
    ("GET", "/admin/connections/{connection_id}/files"): _CONNECTIONS,
    ("POST", "/admin/connections/{connection_id}/files"): _fresh(_CONNECTIONS),
    ("POST", "/admin/connections/{connection_id}/columns"): _fresh(_CONNECTIONS),
    ("GET", "/admin/connections/{connection_id}/rules"): _CONNECTIONS,
    ("GET", "/admin/connections/{connection_id}/rules/edit"): _CONNECTIONS,
    ("POST", "/admin/connections/{connection_id}/rules"): _fresh(_CONNECTIONS),
    ("POST", "/admin/connections/{connection_id}/rules/preview"): _CONNECTIONS,
    ("GET", "/admin/sign-in"): _OWN_SIGN_IN,
    ("POST", "/admin/sign-in"): _fresh(_OWN_SIGN_IN),
    ("GET", "/admin/sign-in/remove"): _OWN_SIGN_IN,
    ("POST", "/admin/people"): _BY_ADMIN,
    ("POST", "/admin/recovery"): _BY_ADMIN,
    ("POST", "/admin/roster"): _ROSTER,
    ("GET", "/ledger"): _LEDGER,
}

SCOPES = tuple(sorted({rule.scope for rule in POLICY.values() if rule.scope}))
"""Every scope that some route asks for."""


def rule_for(method: str, path: str) -> Rule | None:
    """The rule of a route by its method and path template; None means refused. HEAD is GET."""
    return POLICY.get(("GET" if method == "HEAD" else method, path))


def scopes_of(role: Role) -> frozenset[str]:
    """Every scope that a token of this role may carry."""
    return frozenset(rule.scope for rule in POLICY.values() if role in rule.roles and rule.scope)
