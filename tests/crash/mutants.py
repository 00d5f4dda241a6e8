"""Known-bad changes of the service, as data: each must make the named tests fail, or those tests do not count.

A mutant whose `old` is not found exactly once is an error: it is then to be pointed at the text that took its place.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake: in `file`, `old` becomes `new`; then `tests` (arguments of pytest) must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


EVERY_AWAIT = "tests/crash/test_every_await.py"
MUTANTS = (
    Mutant(
        "acknowledged before the commit",
        "app/kit/database.py",
        "        async with AsyncSession(bind, expire_on_commit=False) as tx, tx.begin():\n            yield tx\n",
        "        tx = AsyncSession(bind, expire_on_commit=False)\n        yield tx\n"
        "        self._late = asyncio.get_running_loop().create_task(tx.commit())\n",
        (EVERY_AWAIT, "-k", "receive and before and sqlite"),
    ),
    Mutant(
        "the cursor committed before the rows",
        "app/intake/polling.py",
        "            await self._write(tx, **cursor)\n            if page.body is not None:",
        "            await self._write(tx, **cursor)\n        async with self.context.database.begin() as tx:\n"
        "            if page.body is not None:",
        ("tests/intake/test_polling.py", "-k", "dying_at_any_step and kept and sqlite"),
    ),
    Mutant(
        "looked up, then inserted",
        "app/intake/repository.py",
        '    new = insert.on_conflict_do_nothing(index_elements=["connection_id", "dedupe_key"]).returning(AlertRow.id)\n'
        "    is_new = (await tx.execute(new)).scalar_one_or_none() is not None\n",
        '    there = select(AlertRow.id).where(AlertRow.dedupe_key == values["dedupe_key"])\n'
        "    is_new = (await tx.execute(there)).first() is None\n    if is_new:\n        await tx.execute(insert)\n",
        ("tests/intake/test_load_and_failure.py", "-k", "two_sets_of_workers and postgresql"),
    ),
    Mutant(
        "no overlap",
        "connectors/array/lists.py",
        "since = newest - overlap if newest else None",
        "since = newest",
        ("tests/connectors/test_overlap.py",),
    ),
    Mutant(
        "the signature is not looked at",
        "app/intake/receive.py",
        "    return verifier.check(body, headers, to.secrets, clock.now())\n",
        '    return Verification(Outcome.AUTHENTIC, verifier.scheme, None, "said so", None, Grade.SHARED_SECRET)\n',
        ("tests/intake/test_door.py", "-k", "not_authentic_gets_one and sqlite"),
    ),
    Mutant(
        "signatures compared with ==",
        "connectors/verifiers.py",
        "if hmac.compare_digest(text, shown)",
        "if text == shown",
        ("tests/repo/test_layout.py", "-k", "secrets_are_compared"),
    ),
    Mutant(
        "SQLite does not flush",
        "app/kit/sqlite.py",
        '"synchronous=FULL"',
        '"synchronous=OFF"',
        ("tests/kit/test_sqlite.py", "-k", "commits_are_flushed"),
    ),
    Mutant(
        "a consumer without a fence",
        "app/kit/outbox.py",
        "ours = (ConsumerState.consumer == self.consumer.name, ConsumerState.fence == self._fence)",
        "ours = (ConsumerState.consumer == self.consumer.name,)",
        ("tests/kit/test_outbox.py", "-k", "slept_inside_its_handler and sqlite"),
    ),
    Mutant(
        "identity parts without their lengths",
        "app/intake/understanding.py",
        'out += len(part).to_bytes(4, "big") + part',
        "out += part",
        ("tests/intake/test_understanding.py", "-k", "two_identities"),
    ),
    Mutant(
        "a store that is away counts as our own mistake",
        "app/intake/handling.py",
        "    except (OperationalError, InterfaceError):\n        raise",
        "    except ZeroDivisionError:\n        raise",
        (EVERY_AWAIT, "-k", "normalise and before and sqlite"),
    ),
    Mutant(
        "a receipt without its ledger entry",
        "app/intake/receive.py",
        "    if kept_id == receipt_id:\n",
        "    if kept_id != receipt_id:\n",
        ("tests/intake/test_door.py", "-k", "kept_with_its_ledger_entry and sqlite"),
    ),
    Mutant(
        "PostgreSQL answers before it has flushed",
        "app/kit/database.py",
        '"synchronous_commit": "on"',
        '"synchronous_commit": "off"',
        ("tests/kit/test_database_types.py", "-k", "postgresql_commits_are_flushed"),
    ),
)
