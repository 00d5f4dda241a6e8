"""The second wall: which rows of which table each database role may find and write (PostgreSQL's row-level security).

The first wall is the query, which names whose rows it wants. This one holds when a query forgets to. It is data: a table that
is not in it is the worker's alone, and the migrations bring the database to what stands here (`migrations/raising`).

One role and one act have one condition, never two joined by OR: that would spoil the use of indexes. The conditions take
their ids from what the transaction was told (`kit/acting`); told nothing, they hold for no row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from app.access.policy import Reach, Rule
from app.access.roles import Principal, Role
from app.kit.acting import ANYONE, DOOR, NOBODY, WORKER, Acting

ACCOUNT, MEMBER, COUNSEL = "harmline_account", "harmline_member", "harmline_counsel"
CASEWORKER, ADMIN, AUDITOR, STATISTICS = "harmline_caseworker", "harmline_admin", "harmline_auditor", "harmline_statistics"
OF_PEOPLE = (ACCOUNT, MEMBER, COUNSEL, CASEWORKER, ADMIN, AUDITOR, STATISTICS)
"""The roles in which somebody acts who is signed in."""

ROLES = (NOBODY.role, ANYONE.role, DOOR.role, WORKER.role, *OF_PEOPLE)
"""Every role that a transaction can take on."""

_TAKEN_ON: Mapping[tuple[Reach, Role], str] = {
    **{(Reach.SELF, role): ACCOUNT for role in Role},
    (Reach.SELF, Role.MEMBER): MEMBER,
    (Reach.SELF_OR_MATTER, Role.MEMBER): MEMBER,
    (Reach.SELF_OR_MATTER, Role.COUNSEL): COUNSEL,
    (Reach.MATTER, Role.COUNSEL): COUNSEL,
    (Reach.ORGANIZATION, Role.COUNSEL): COUNSEL,
    (Reach.ORGANIZATION, Role.CASEWORKER): CASEWORKER,
    (Reach.ORGANIZATION, Role.ADMIN): ADMIN,
    (Reach.ORGANIZATION, Role.AUDITOR): AUDITOR,
    (Reach.NOBODY, Role.STAFF): STATISTICS,
    (Reach.NOBODY, Role.COUNSEL): STATISTICS,
}


def acting_for(rule: Rule, caller: Principal | None) -> Acting:
    """As whom the one transaction of a request acts, by the route's rule and who asks."""
    if rule.public or caller is None:
        return ANYONE
    role = _TAKEN_ON.get((rule.reach, caller.role))
    return Acting(role, caller.organization_id, caller.account_id, caller.member_id) if role else NOBODY


@dataclass(frozen=True, slots=True)
class May:
    """What a role may do with a table. `acts`: of r(ead), a(dd), c(hange), d(elete), and l(ock): held, and not changed.

    `rows`: which rows it finds; `written`: how a row must be that it adds or changes (None: like those that it finds).
    `columns`: the only ones it may read (none: all). `held`: a column by which PostgreSQL grants a lock. SQL, in terms of the
    table.
    """

    acts: str
    rows: str
    written: str | None = None
    columns: tuple[str, ...] = ()
    held: str = "id"


def _told(name: str) -> str:
    # The name is there and empty once another transaction of the same connection has set it.
    return f"NULLIF(current_setting('harmline.{name}', true), '')::uuid"


_NIL = "'00000000-0000-0000-0000-000000000000'"
"""Nobody's organization: of the keys of indexes over all of them."""

EVERY = "true"
ORG = f"organization_id = {_told('organization')}"
THIS_ORG = f"id = {_told('organization')}"
OWN = f"member_id = {_told('member')}"
SELF = f"id = {_told('member')}"
OWN_ACCOUNT = f"account_id = {_told('account')}"
THIS_ACCOUNT = f"id = {_told('account')}"
FACTUAL = f"organization_id IN ({_told('organization')}, {_NIL}) AND lane IN ('factual', 'system')"
BOTH_LANES = f"organization_id IN ({_told('organization')}, {_NIL})"
ASKED = f"{ORG} AND asked_by = {_told('account')}"
OPENED = "harmline_is_opened(member_id)"
CLIENT = "harmline_is_client(member_id)"
ITS_OWN = f"{ORG} AND connector = 'own'"
"""The connection over which members report something themselves: it is made at the first report."""

ENROLLS_SELF = (
    f"{OWN} AND EXISTS (SELECT 1 FROM connection WHERE connection.id = connection_id AND connection.connector IN ('own', 'mail'))"
)
"""Where a member is enrolled by their own act: by a report, or by a forwarding address, which they also end."""

OF_ACCOUNT = "EXISTS (SELECT 1 FROM account WHERE account.id = account_id)"
OF_CONNECTION = "EXISTS (SELECT 1 FROM connection WHERE connection.id = connection_id)"
OF_MEMBER = "EXISTS (SELECT 1 FROM member WHERE member.id = member_id)"
"""Rows of a table without an organization belong to whom the table that they point at belongs to, as far as the role sees it."""

_BEHIND_ENROLLMENT = (
    "EXISTS (SELECT 1 FROM enrollment AS e WHERE e.connection_id = look_up.connection_id"
    " AND e.reference_index = look_up.reference_index)"
)
_ASSIGNED = f"{ORG} AND EXISTS (SELECT 1 FROM matter_counsel WHERE matter_counsel.matter_id = id)"
_OF_MATTERS = f"{ORG} AND EXISTS (SELECT 1 FROM matter_counsel WHERE matter_counsel.matter_id = packet.matter_id)"
_OF_PACKETS = f"{ORG} AND EXISTS (SELECT 1 FROM packet WHERE packet.id = packet_id)"
_COUNSELS_OWN = f"{ORG} AND role = 'counsel'"
_NOT_COUNSELS = f"{ORG} AND role <> 'counsel'"

_SAID_OF_OWN = (
    f"{ORG} AND EXISTS (SELECT 1 FROM link AS own"
    f" WHERE own.member_id = {_told('member')} AND own.shared_sha256 = shared_finding.sha256)"
)
"""What a member's own links say, and no other's."""

_MATTERS = (
    "SELECT m.breach_id FROM matter_counsel AS c JOIN matter AS m ON m.id = c.matter_id"
    f" WHERE c.account_id = {_told('account')} AND m.organization_id = {_told('organization')}"
)
_HOLDERS = (
    "SELECT 1 FROM event AS e JOIN member_alert AS a ON a.connection_id = e.connection_id AND a.alert_id = e.alert_id"
    " WHERE e.connection_id = $1 AND e.receipt_id = $2"
)
_ABOUT_ENROLLED = (
    "SELECT 1 FROM receipt AS r JOIN enrollment AS e ON e.connection_id = r.connection_id AND e.reference_index = r.about_index"
    " WHERE r.connection_id = $1 AND r.id = $2 AND e.ended_at IS NULL"
)
FUNCTIONS: Mapping[str, str] = {
    "harmline_is_client(uuid)": f"SELECT EXISTS (SELECT 1 FROM exposure WHERE member_id = $1 AND breach_id IN ({_MATTERS}))"
    f" OR EXISTS (SELECT 1 FROM member_evidence WHERE member_id = $1 AND breach_id IN ({_MATTERS}))",
    "harmline_is_opened(uuid)": "SELECT EXISTS (SELECT 1 FROM break_glass WHERE member_id = $1 AND approved_at IS NOT NULL"
    f" AND ended_at IS NULL AND {ASKED})",
    "harmline_holds_own(uuid, uuid)": f"SELECT EXISTS ({_HOLDERS} AND a.member_id = {_told('member')})"
    f" OR EXISTS ({_ABOUT_ENROLLED} AND e.member_id = {_told('member')})",
    "harmline_holds_clients(uuid, uuid)": f"SELECT EXISTS ({_HOLDERS} AND harmline_is_client(a.member_id))",
}
"""Questions whose answer lies in tables that whoever asks may not read. They run as the worker and answer yes or no.

Whether a matter of this counsel is over a breach that exposed a member, or in which something names them though nobody says
what data it was; whether this caseworker's request to see a member in an emergency was approved (that its hour is over is the
service's to say); whether a receipt holds an alert of the member who asks or is about nobody else, or holds one of counsel's.
"""

Wall = Mapping[str, Sequence[May]]
_ALL = {WORKER.role: (May("racd", EVERY),)}
_KEPT = {WORKER.role: (May("ra", EVERY),)}
_WORKERS_ONLY: Wall = _ALL


def _own_and_clients(own: str = "r", more: Wall = MappingProxyType({})) -> Wall:
    """A member's own table: theirs, and read by counsel of a matter that is about them."""
    return {**_ALL, MEMBER: (May(own, OWN),), COUNSEL: (May("r", CLIENT),), **more}


def _each(*roles: str, may: Sequence[May]) -> Wall:
    return dict.fromkeys(roles, may)


_ACCOUNTS_TABLE: Wall = {
    **_ALL,
    ANYONE.role: (May("rac", EVERY),),
    **_each(ACCOUNT, MEMBER, may=(May("rac", OWN_ACCOUNT),)),
    **_each(ADMIN, COUNSEL, may=(May("rc", OF_ACCOUNT),)),
}
"""Sessions, links and tokens: one's own, and those of the organization's accounts for who may take a role back."""

_IN_AN_EMERGENCY: Wall = {CASEWORKER: (May("r", OPENED),)}
_NAMED = ("id", "kind", "recipient", "about")
_SHOWN_OF_PROVIDERS = (
    *("id", "organization_id", "issuer", "client_id", "domains", "accounts"),
    *("created_at", "checked_at", "switched_off_at", "removed_at"),
)
"""All but the secret, which only whoever sets it and the sign-in itself need."""
_AT_THE_DOOR = (
    *("id", "organization_id", "connector", "sender", "token_hash", "previous_token_hash", "previous_token_until"),
    *("sources_sealed", "closed_at", "revision", "index_version"),
)
"""What the door reads of a connection: whom a delivery is for, never how its provider is asked."""
_PROOF: Wall = {**_KEPT, **_each(COUNSEL, AUDITOR, may=(May("r", ORG),))}
_OF_SIGNERS = ("organization_id", "number", "origin", "public_key", "made_at")
"""All but the seed, which only the sequencer signs with."""

WALLS: Mapping[str, Wall] = {
    "organization_key": {
        **_ALL,
        ANYONE.role: (May("r", "lane IN ('factual', 'system')"),),
        DOOR.role: (May("rl", EVERY, columns=("organization_id", "lane", "version", "destroyed_at"), held="version"),),
        **_each(*OF_PEOPLE, may=(May("rl", FACTUAL, held="version"),)),
        COUNSEL: (May("rl", BOTH_LANES, held="version"),),
    },
    "door_key": {**_ALL, DOOR.role: (May("r", EVERY),)},
    "key_recovery": _WORKERS_ONLY,
    "outbox": {**_ALL, ANYONE.role: (May("a", EVERY),), **_each(*OF_PEOPLE, may=(May("a", ORG),))},
    "outbox_consumer": _WORKERS_ONLY,
    "outbox_failure": _WORKERS_ONLY,
    "letter": {**_ALL, **_each(*OF_PEOPLE, may=(May("ra", ORG, columns=_NAMED),))},
    "ledger_entry": {
        **_KEPT,
        **_each(ANYONE.role, DOOR.role, may=(May("a", EVERY),)),
        **_each(*OF_PEOPLE, may=(May("a", ORG),)),
        MEMBER: (May("r", OWN), May("a", ORG)),
        AUDITOR: (May("ra", ORG),),
    },
    # The trigger writes as whoever writes the entry.
    "ledger_pending": {
        **_ALL,
        **_each(ANYONE.role, DOOR.role, may=(May("a", EVERY),)),
        **_each(*OF_PEOPLE, may=(May("a", ORG),)),
    },
    "ledger_head": _WORKERS_ONLY,
    "ledger_leaf": _PROOF,
    "ledger_subtree": _PROOF,
    "ledger_checkpoint": _PROOF,
    "ledger_cosignature": _PROOF,
    "ledger_timestamp": _PROOF,
    "ledger_signer": {**_ALL, **_each(COUNSEL, AUDITOR, may=(May("r", ORG, columns=_OF_SIGNERS),))},
    "deletion": {**_KEPT, **_each(*OF_PEOPLE, may=(May("a", ORG),))},
    "account": {
        **_ALL,
        ANYONE.role: (May("r", EVERY),),
        **_each(ACCOUNT, MEMBER, may=(May("rl", THIS_ACCOUNT),)),
        ADMIN: (May("rac", ORG),),
        COUNSEL: (May("ral", ORG),),
    },
    "role_grant": {
        **_ALL,
        ANYONE.role: (May("r", EVERY),),
        **_each(ACCOUNT, MEMBER, may=(May("r", OWN_ACCOUNT),)),
        ADMIN: (May("r", ORG), May("ac", _NOT_COUNSELS)),
        COUNSEL: (May("r", ORG), May("ac", _COUNSELS_OWN)),
    },
    "sign_in_link": _ACCOUNTS_TABLE,
    "session": _ACCOUNTS_TABLE,
    "api_token": _ACCOUNTS_TABLE,
    "held_domain": {**_ALL, **_each(ACCOUNT, MEMBER, ADMIN, may=(May("r", ORG),))},
    "identity_provider": {
        **_ALL,
        ANYONE.role: (May("r", EVERY),),
        ACCOUNT: (May("rl", ORG, columns=_SHOWN_OF_PROVIDERS),),
        MEMBER: (May("r", ORG, columns=_SHOWN_OF_PROVIDERS),),
        ADMIN: (May("rac", ORG),),
    },
    "provider_link": {
        **_ALL,
        ANYONE.role: (May("r", EVERY),),
        ACCOUNT: (May("racd", OWN_ACCOUNT),),
        MEMBER: (May("rd", OWN_ACCOUNT),),
        ADMIN: (May("rd", OF_ACCOUNT),),
    },
    "passkey": {
        **_ALL,
        ANYONE.role: (May("rc", EVERY),),
        **_each(ACCOUNT, MEMBER, may=(May("rac", OWN_ACCOUNT),)),
        ADMIN: (May("rd", OF_ACCOUNT),),
    },
    "password": {
        **_ALL,
        ANYONE.role: (May("rc", EVERY),),
        ACCOUNT: (May("rd", OWN_ACCOUNT),),
        MEMBER: (May("racd", OWN_ACCOUNT),),
        ADMIN: (May("rd", OF_ACCOUNT),),
    },
    "known_browser": {
        **_ALL,
        ANYONE.role: (May("ra", EVERY),),
        **_each(ACCOUNT, MEMBER, may=(May("rd", OWN_ACCOUNT),)),
        ADMIN: (May("rd", OF_ACCOUNT),),
    },
    "guesses": {**_ALL, **_each(ANYONE.role, ACCOUNT, MEMBER, may=(May("racd", EVERY),))},
    "spent_challenge": {**_ALL, **_each(ANYONE.role, ACCOUNT, MEMBER, may=(May("ra", EVERY),))},
    "recovery_code": {
        **_ALL,
        **_each(ACCOUNT, MEMBER, may=(May("racd", OWN_ACCOUNT),)),
        ADMIN: (May("rd", OF_ACCOUNT),),
    },
    "recovery": {
        **_ALL,
        ANYONE.role: (May("r", EVERY),),
        **_each(ACCOUNT, MEMBER, may=(May("rac", OWN_ACCOUNT),)),
        **_each(ADMIN, COUNSEL, may=(May("ra", OF_ACCOUNT),)),
    },
    "organization": {**_ALL, CASEWORKER: (May("rl", THIS_ORG),), ADMIN: (May("rl", THIS_ORG),)},
    "member": {
        **_ALL,
        MEMBER: (May("rl", SELF),),
        COUNSEL: (May("r", ORG),),
        CASEWORKER: (May("rl", ORG),),
        ADMIN: (May("rac", ORG),),
    },
    "employment": {**_ALL, ADMIN: (May("rad", OF_MEMBER),)},
    "enrollment": {
        **_ALL,
        MEMBER: (May("r", OWN), May("ac", ENROLLS_SELF)),
        CASEWORKER: (May("ra", ORG),),
        ADMIN: (May("racd", ORG),),
    },
    "consent": _own_and_clients("ra", {CASEWORKER: (May("r", ORG),), ADMIN: (May("ra", ORG),)}),
    "legal_hold": {**_ALL, COUNSEL: (May("rac", ORG),), ADMIN: (May("r", ORG),)},
    "breach": {**_ALL, **_each(MEMBER, COUNSEL, may=(May("r", ORG),))},
    "member_evidence": _own_and_clients(),
    "exposure": _own_and_clients(),
    "matter": {**_ALL, COUNSEL: (May("r", _ASSIGNED),)},
    "matter_counsel": {**_ALL, COUNSEL: (May("r", OWN_ACCOUNT),)},
    "connection": {
        **_ALL,
        DOOR.role: (May("rl", EVERY, columns=_AT_THE_DOOR),),
        MEMBER: (May("r", ORG), May("a", ITS_OWN)),
        COUNSEL: (May("r", ORG),),
        CASEWORKER: (May("rl", ORG),),
        ADMIN: (May("rac", ORG),),
    },
    "connection_secret": {**_ALL, DOOR.role: (May("r", EVERY),), ADMIN: (May("rac", OF_CONNECTION),)},
    "reading_document": {**_ALL, **_each(CASEWORKER, ADMIN, may=(May("ra", ORG),))},
    "disputed_range": {**_ALL, **_each(MEMBER, COUNSEL, CASEWORKER, may=(May("r", ORG),)), ADMIN: (May("rac", ORG),)},
    "poll": {**_ALL, CASEWORKER: (May("rc", ORG),), ADMIN: (May("rac", ORG),)},
    "poll_subject": {**_ALL, ADMIN: (May("r", OF_CONNECTION),)},
    "receipt": {
        **_ALL,
        DOOR.role: (
            May(
                "rac",
                EVERY,
                columns=("connection_id", "id", "body_hash", "repeats", "last_received_at", "verification", "reason", "state"),
            ),
        ),
        MEMBER: (May("r", "harmline_holds_own(connection_id, id)"),),
        COUNSEL: (May("r", "harmline_holds_clients(connection_id, id)"),),
        CASEWORKER: (May("rc", ORG),),
        ADMIN: (May("r", ORG),),
    },
    "alert": {**_ALL, CASEWORKER: (May("ral", ORG),)},
    "event": {**_ALL, CASEWORKER: (May("rac", ORG),), ADMIN: (May("r", ORG),)},
    "refusal": {**_ALL, ADMIN: (May("r", ORG),)},
    "handed_in": {**_ALL, ADMIN: (May("rac", ORG),)},
    "handed_on": {**_ALL, CASEWORKER: (May("ra", ORG),), ADMIN: (May("r", ORG),)},
    "look_up": {
        **_ALL,
        MEMBER: (May("r", _BEHIND_ENROLLMENT),),
        CASEWORKER: (May("rac", ORG),),
        ADMIN: (May("rc", ORG),),
    },
    "unmatched": {**_ALL, MEMBER: (May("r", OWN),), CASEWORKER: (May("rl", ORG, held="alert_id"),)},
    "member_alert": _WORKERS_ONLY,
    "member_event": _own_and_clients(more=_IN_AN_EMERGENCY),
    "incident": _own_and_clients("rac", _IN_AN_EMERGENCY),
    "incident_alert": _own_and_clients("rac", _IN_AN_EMERGENCY),
    "verdict": _own_and_clients("ra"),
    "link": _own_and_clients(),
    "shared_finding": {**_KEPT, MEMBER: (May("r", _SAID_OF_OWN),), COUNSEL: (May("r", ORG),)},
    "loss": _own_and_clients("ra"),
    "reimbursement": _own_and_clients("ra"),
    "member_notice": _WORKERS_ONLY,
    "consent_request": _WORKERS_ONLY,
    "break_glass": {**_ALL, CASEWORKER: (May("rac", ASKED),), ADMIN: (May("rc", ORG),)},
    "alarm": {**_ALL, ADMIN: (May("r", ORG),)},
    "bates_number": _KEPT,
    "packet": {**_ALL, COUNSEL: (May("rac", _OF_MATTERS),)},
    "packet_member": {**_ALL, COUNSEL: (May("r", _OF_PACKETS),)},
    "packet_taken": {**_KEPT, COUNSEL: (May("ra", _OF_PACKETS),)},
    "statistics_release": {**_KEPT, STATISTICS: (May("r", ORG),)},
}
"""Every table of the house, with what each role may do with it."""
