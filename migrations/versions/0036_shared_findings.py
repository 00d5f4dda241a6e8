"""What findings say that differ in ids only is kept once; a link names it by its hash and keeps its own ids (decision 0058).

The links that are there are split the same way, and put together again on the way down, so many at a time; no word is lost.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.append_only import forbid_changes

revision: str = "0036"
down_revision: str | None = "0035"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

AT_ONCE = 1000
_JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
_LINK = sa.table(
    "link",
    sa.column("member_id", sa.Uuid()),
    sa.column("id", sa.Uuid()),
    sa.column("organization_id", sa.Uuid()),
    sa.column("incident_id", sa.Uuid()),
    sa.column("finding", _JSON),
    sa.column("shared_sha256", sa.LargeBinary()),
    sa.column("own", _JSON),
)
_SHARED = sa.table(
    "shared_finding", sa.column("organization_id", sa.Uuid()), sa.column("sha256", sa.LargeBinary()), sa.column("said", _JSON)
)
_KEY = (_LINK.c.member_id == sa.bindparam("its_member"), _LINK.c.id == sa.bindparam("its_id"))


def upgrade() -> None:
    op.create_table(
        "shared_finding",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("said", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "sha256", name=op.f("pk_shared_finding")),
    )
    op.add_column("link", sa.Column("shared_sha256", sa.LargeBinary(), nullable=True))
    op.add_column("link", sa.Column("own", _JSON, nullable=True))
    _split_all()
    with op.batch_alter_table("link") as batch:
        batch.alter_column("shared_sha256", existing_type=sa.LargeBinary(), nullable=False)
        batch.alter_column("own", existing_type=_JSON, nullable=False)
        batch.drop_column("finding")
    forbid_changes("shared_finding")


def downgrade() -> None:
    op.add_column("link", sa.Column("finding", _JSON, nullable=True))
    _join_all()
    with op.batch_alter_table("link") as batch:
        batch.alter_column("finding", existing_type=_JSON, nullable=False)
        batch.drop_column("own")
        batch.drop_column("shared_sha256")
    op.drop_table("shared_finding")


def _split_all() -> None:
    kept: set[tuple[Any, bytes]] = set()
    change = _LINK.update().where(*_KEY).values(shared_sha256=sa.bindparam("to_sha256"), own=sa.bindparam("to_own"))
    query = sa.select(_LINK.c.member_id, _LINK.c.id, _LINK.c.organization_id, _LINK.c.finding)
    for rows in _some_at_once(query):
        changed, new = [], []
        for row in rows:
            shared, own = split(row.finding)
            sha256 = hashlib.sha256(canonical(shared)).digest()
            if (row.organization_id, sha256) not in kept:
                kept.add((row.organization_id, sha256))
                new.append({"organization_id": row.organization_id, "sha256": sha256, "said": shared})
            changed.append({"its_member": row.member_id, "its_id": row.id, "to_sha256": sha256, "to_own": own})
        if new:
            op.get_bind().execute(_SHARED.insert(), new)
        op.get_bind().execute(change, changed)


def _join_all() -> None:
    change = _LINK.update().where(*_KEY).values(finding=sa.bindparam("to_finding"))
    named = sa.and_(_SHARED.c.organization_id == _LINK.c.organization_id, _SHARED.c.sha256 == _LINK.c.shared_sha256)
    query = sa.select(_LINK.c.member_id, _LINK.c.id, _LINK.c.incident_id, _LINK.c.own, _SHARED.c.said).join_from(
        _LINK, _SHARED, named
    )
    for rows in _some_at_once(query):
        changed = [
            {"its_member": row.member_id, "its_id": row.id, "to_finding": join(row.said, row.own, str(row.incident_id))}
            for row in rows
        ]
        op.get_bind().execute(change, changed)


def _some_at_once(query: sa.Select[Any]) -> Iterator[Sequence[sa.Row[Any]]]:
    """Every link, in the order of its key."""
    place, after = sa.tuple_(_LINK.c.member_id, _LINK.c.id), None
    while True:
        rest = query if after is None else query.where(place > after)
        rows = op.get_bind().execute(rest.order_by(_LINK.c.member_id, _LINK.c.id).limit(AT_ONCE)).all()
        if not rows:
            return
        yield rows
        after = sa.tuple_(*(sa.literal(value, sa.Uuid()) for value in rows[-1][:2]))


def canonical(value: Any) -> bytes:
    """RFC 8785 of what findings hold: whole numbers, texts, names in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def split(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A finding as what it shares and what is its own (`app/linkage/sharing` as it was when this was written)."""
    alerts: list[list[str]] = []
    own: list[Any] = []
    facts: list[Any] = []
    for fact in data["facts"]:
        if fact["code"].startswith(("prior.", "competing.")) and fact["code"] != "competing.none_known":
            facts.append(len(own))
            own.append(fact)
        else:
            facts.append({**fact, "rests_on": _numbered(fact["rests_on"], alerts)})
    shared = {name: value for name, value in data.items() if name != "incident_id"} | {"facts": facts}
    return shared, {"alerts": alerts, "facts": own} if own else {"alerts": alerts}


def _numbered(rests_on: list[str], alerts: list[list[str]]) -> list[Any]:
    found: list[Any] = []
    run: list[str] = []
    for reference in [*rests_on, None]:
        if reference is not None and reference.startswith("alert:"):
            run.append(reference.removeprefix("alert:"))
            continue
        if run:
            if run not in alerts:
                alerts.append(run)
            found.append(alerts.index(run))
            run = []
        if reference is not None:
            found.append(reference)
    return found


def join(shared: dict[str, Any], own: dict[str, Any], incident_id: str) -> dict[str, Any]:
    """The finding again."""
    facts = [
        own["facts"][fact] if isinstance(fact, int) else {**fact, "rests_on": _named(fact["rests_on"], own["alerts"])}
        for fact in shared["facts"]
    ]
    return {**shared, "incident_id": incident_id, "facts": facts}


def _named(rests_on: list[Any], alerts: list[list[str]]) -> list[str]:
    found: list[str] = []
    for one in rests_on:
        found += [f"alert:{alert}" for alert in alerts[one]] if isinstance(one, int) else [one]
    return found
