"""Foreign keys that PostgreSQL checks a whole statement at once, by triggers of our own (decision 0059). SQLite has real ones.

A real one asks and locks for each row by itself, which was a third of the work of an alert. What refuses here is the same, and
said in the same way: a row that points at nothing, and taking away what is pointed at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

KEEPS_KEY = "refuse_other_key"
"""The function that refuses another key for a row that others may point at: nobody ever gives it one."""


@dataclass(frozen=True, slots=True)
class Reference:
    """That `columns` of `child` name the row of `parent` that has them as `keys`, or nothing, when one of them is null.

    `cascades`: rows that point at what is deleted go with it; else it is not deleted.
    """

    child: str
    columns: tuple[str, ...]
    parent: str
    keys: tuple[str, ...] = ("id",)
    cascades: bool = False

    @property
    def name(self) -> str:
        """That of the constraint; so are its two functions and its triggers called, with what they are for."""
        return f"fk_{self.child}_{'_'.join(self.columns)}"

    @property
    def functions(self) -> tuple[str, str]:
        """What looks at rows that were written, and what looks after rows that were deleted."""
        return f"{self.name}_written", f"{self.name}_deleted"

    @property
    def triggers(self) -> tuple[tuple[str, str], ...]:
        """`(table, trigger)`."""
        written, deleted = self.functions
        return (
            (self.child, written),
            (self.child, f"{self.name}_changed"),
            (self.parent, deleted),
            (self.parent, f"{self.name}_truncated"),
        )


_OF_CONNECTION = ("connection_id",)
_OF_MEMBER = ("member_id",)
CHECKED = (
    Reference("receipt", _OF_CONNECTION, "connection"),
    Reference("alert", _OF_CONNECTION, "connection"),
    Reference("event", ("connection_id", "receipt_id"), "receipt", ("connection_id", "id")),
    Reference("event", ("connection_id", "alert_id"), "alert", ("connection_id", "id")),
    Reference("member_alert", _OF_MEMBER, "member"),
    Reference("member_event", _OF_MEMBER, "member"),
    Reference("incident", _OF_MEMBER, "member"),
    Reference("incident_alert", _OF_MEMBER, "member"),
    Reference("link", ("breach_id",), "breach"),
    Reference("link", ("member_id", "incident_id"), "incident", ("member_id", "id"), cascades=True),
    Reference("member_notice", _OF_MEMBER, "member"),
    Reference("member_notice", ("letter_id",), "letter"),
)
"""All of them. Another one takes a migration of its own."""


NAMES = frozenset(one.name for one in CHECKED)
CHECKING = tuple(function for one in CHECKED for function in one.functions)
PARENTS = {one.parent: one.keys for one in CHECKED}
"""What is pointed at, and by what."""


def check_by_statement(schema: str) -> Iterator[str]:
    """What PostgreSQL is told to check all of them so. `schema`: theirs, quoted where it must be."""
    for one in CHECKED:
        yield f"ALTER TABLE {one.child} DROP CONSTRAINT {one.name}"
        yield from _make(schema, one)
    yield (
        f"CREATE FUNCTION {KEEPS_KEY}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING"
        f" ERRCODE = 'foreign_key_violation', MESSAGE = format('rows of %s keep their keys', TG_TABLE_NAME); END $$"
    )
    for parent, keys in PARENTS.items():
        yield f"CREATE TRIGGER {parent}_keeps_its_key {_on_change(parent, keys)} EXECUTE FUNCTION {KEEPS_KEY}()"


def check_by_row() -> Iterator[str]:
    """The way back: foreign keys of PostgreSQL's own, for which all rows are looked at once."""
    for parent in PARENTS:
        yield f"DROP TRIGGER {parent}_keeps_its_key ON {parent}"
    yield f"DROP FUNCTION {KEEPS_KEY}()"
    for one in CHECKED:
        yield from (f"DROP TRIGGER {trigger} ON {table}" for table, trigger in one.triggers)
        yield from (f"DROP FUNCTION {function}()" for function in one.functions)
        yield (
            f"ALTER TABLE {one.child} ADD CONSTRAINT {one.name} FOREIGN KEY ({', '.join(one.columns)})"
            f" REFERENCES {one.parent} ({', '.join(one.keys)}){' ON DELETE CASCADE' if one.cascades else ''}"
        )


def _make(schema: str, one: Reference) -> Iterator[str]:
    (_, on_written), (_, on_changed), (_, on_deleted), (_, on_truncated) = one.triggers
    written, deleted = (f"EXECUTE FUNCTION {function}()" for function in one.functions)
    yield _function(schema, one.functions[0], _look_at_written(one))
    each = "FOR EACH STATEMENT"
    yield f"CREATE TRIGGER {on_written} AFTER INSERT ON {one.child} REFERENCING NEW TABLE AS written {each} {written}"
    yield f"CREATE TRIGGER {on_changed} {_on_change(one.child, one.columns)} {written}"
    yield _function(schema, one.functions[1], _look_after_deleted(one))
    yield f"CREATE TRIGGER {on_deleted} AFTER DELETE ON {one.parent} REFERENCING OLD TABLE AS deleted {each} {deleted}"
    yield f"CREATE TRIGGER {on_truncated} AFTER TRUNCATE ON {one.parent} {each} {deleted}"


def _on_change(table: str, columns: tuple[str, ...]) -> str:
    """It costs nothing where a statement sets none of the columns."""
    other = f"({_of('OLD', columns)}) IS DISTINCT FROM ({_of('NEW', columns)})"
    return f"AFTER UPDATE OF {', '.join(columns)} ON {table} FOR EACH ROW WHEN ({other})"


def _of(row: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{row}.{column}" for column in columns)


def _function(schema: str, name: str, body: str) -> str:
    """Whoever writes need not see what is pointed at. A plan of when a table was small must not read all of it for ever."""
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp"
        " SET enable_seqscan = off SET enable_sort = off AS $$ DECLARE gone record; BEGIN"
        # An older view of the database would not show what somebody else has deleted or written since.
        " IF current_setting('transaction_isolation') <> 'read committed' THEN"
        " RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',"
        " MESSAGE = 'rows that point at others are written and deleted in READ COMMITTED only'; END IF;"
        f" {body} END $$"
    )


def _look_at_written(one: Reference) -> str:
    """Asked for the next key in order, only the index that is in that order can answer, however small all of them once were."""
    key, wanted = _of("p", one.keys), _of("w", one.columns)
    there = " AND ".join(f"w.{column} IS NOT NULL" for column in one.columns)
    found = f"SELECT ({key}) = ({wanted}) FROM {one.parent} AS p WHERE ({key}) >= ({wanted}) ORDER BY {key} LIMIT 1"
    missing = f"WHERE {there} AND ({found}) IS NOT TRUE"
    several = f"(SELECT DISTINCT {', '.join(one.columns)} FROM written)"
    single = f"(SELECT {', '.join(f'NEW.{column} AS {column}' for column in one.columns)})"
    return (
        f"IF TG_LEVEL = 'STATEMENT' THEN IF NOT EXISTS (SELECT 1 FROM {several} AS w {missing}) THEN RETURN NULL; END IF;"
        f" ELSIF NOT EXISTS (SELECT 1 FROM {single} AS w {missing}) THEN RETURN NULL; END IF;"
        f" {_refuse(one, f'insert or update on table {_quoted(one.child)} violates foreign key constraint {_quoted(one.name)}')}"
    )


def _look_after_deleted(one: Reference) -> str:
    """Whoever has written such rows is waited for, and nobody writes any until the deletion is over."""
    lock = f"LOCK TABLE {one.child} IN SHARE ROW EXCLUSIVE MODE;"
    same = " AND ".join(f"c.{column} = gone.{key}" for key, column in zip(one.keys, one.columns, strict=True))
    there = " AND ".join(f"c.{column} IS NOT NULL" for column in one.columns)
    act = f"update or delete on table {_quoted(one.parent)}"
    refusal = _refuse(one, f"{act} violates foreign key constraint {_quoted(one.name)} on table {_quoted(one.child)}")
    found = f"IF EXISTS (SELECT 1 FROM {one.child} AS c WHERE {same}) THEN {refusal} END IF;"
    each = f"DELETE FROM {one.child} AS c WHERE {same};" if one.cascades else found
    return (
        f"IF TG_OP = 'TRUNCATE' THEN {lock} IF EXISTS (SELECT 1 FROM {one.child} AS c WHERE {there}) THEN {refusal} END IF;"
        f" ELSIF EXISTS (SELECT 1 FROM deleted) THEN {lock}"
        f" FOR gone IN SELECT {', '.join(one.keys)} FROM deleted LOOP {each} END LOOP; END IF; RETURN NULL;"
    )


def _quoted(name: str) -> str:
    return f'"{name}"'


def _refuse(one: Reference, message: str) -> str:
    """As PostgreSQL says it, but for the values."""
    return (
        "RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', SCHEMA = TG_TABLE_SCHEMA,"
        f" TABLE = '{one.child}', CONSTRAINT = '{one.name}', MESSAGE = '{message}';"
    )
