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
        "app/intake/desk.py",
        "            kept = await self._kept_of([ready for ready, _ in batch])\n",
        "            for ready, answer in batch:\n                answer.set_result(Kept(ready.receipt_id, False))\n"
        "            kept = await self._kept_of([ready for ready, _ in batch])\n",
        (EVERY_AWAIT, "-k", "receive and before and sqlite"),
    ),
    Mutant(
        "the cursor committed before the rows",
        "app/intake/rounds.py",
        "            await self.asking.write(tx, **cursor)\n            ended =",
        "            await self.asking.write(tx, **cursor)\n        async with self.asking.context.database.begin() as tx:\n"
        "            ended =",
        (EVERY_AWAIT, "-k", "poll and before and sqlite"),
    ),
    Mutant(
        "looked up, then inserted",
        "app/intake/keeping.py",
        "  ORDER BY given.connection_id, given.body_hash\n  FOR KEY SHARE OF held, connection\n  {_AGAIN}\n",
        "  AND NOT EXISTS (SELECT 1 FROM receipt AS r WHERE r.body_hash = given.body_hash)\n"
        "  ORDER BY given.connection_id, given.body_hash\n",
        ("tests/intake/test_load_and_failure.py", "-k", "thousand_times and postgresql"),
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
        "app/kit/pulling.py",
        "ours = (ConsumerState.consumer == self.consumer.name, ConsumerState.fence == self._fence)",
        "ours = (ConsumerState.consumer == self.consumer.name,)",
        ("tests/kit/test_outbox_leases.py", "-k", "slept_inside_its_handler"),
    ),
    Mutant(
        "identity parts without their lengths",
        "app/intake/understanding.py",
        'out += len(part).to_bytes(4, "big") + part',
        "out += part",
        ("tests/intake/test_understanding.py", "-k", "two_identities"),
    ),
    Mutant(
        "a receipt without its ledger entry",
        "app/intake/keeping.py",
        "    await tx.execute(_EACH_ENTRY, values)\n",
        "",
        ("tests/intake/test_door.py", "-k", "kept_with_its_ledger_entry and sqlite"),
    ),
    Mutant(
        "a batch as large as ever, however long it takes",
        "app/kit/pulling.py",
        "            self._limit = max(1, self._limit // 4)",
        "            self._limit = BATCH",
        ("tests/kit/test_outbox_slow.py",),
    ),
    Mutant(
        "PostgreSQL answers before it has flushed",
        "app/kit/database.py",
        '"synchronous_commit": "on"',
        '"synchronous_commit": "off"',
        ("tests/kit/test_database_types.py", "-k", "postgresql_commits_are_flushed"),
    ),
    Mutant(
        "who takes a turn over begins with a pace of its own",
        "app/intake/polling.py",
        "self.http.follow((poll.paced_until - clock.now()).total_seconds())",
        "pass",
        ("tests/intake/test_pace.py", "-k", "takes_over_goes_on and sqlite"),
    ),
    Mutant(
        "a restore that forgets who was erased",
        "app/upkeep/again.py",
        "        if record.what == Gone.MEMBER and record.organization_id is not None:\n",
        "        if record.what == Gone.MEMBER and record.organization_id is None:\n",
        ("tests/upkeep/test_stays_erased.py", "-k", "nothing_of_who_was_erased and sqlite"),
    ),
    Mutant(
        "a backup's hashes are not looked at",
        "app/upkeep/manifest.py",
        "elif file_hash(path) != expected:",
        "elif not expected:",
        ("tests/upkeep/test_backups.py", "-k", "what_was_changed_is_noticed and postgresql"),
    ),
    Mutant(
        "terms come before holds",
        "app/upkeep/retention.py",
        "query.where(term.counted_from < limit, ~_held(term.organization, member))",
        "query.where(term.counted_from < limit)",
        ("tests/upkeep/test_retention.py", "-k", "a_hold_keeps_them and sqlite"),
    ),
    Mutant(
        "a key that others read is fine",
        "app/upkeep/refusals.py",
        "lambda f: unsafe.lies_open(of(f).file, OTHERS),",
        "lambda f: unsafe.lies_open(of(f).file, OTHERS_WRITE),",
        ("tests/upkeep/test_safety.py", "-k", "refused_by_its_name"),
    ),
    Mutant(
        "SQLite leaves lying what was deleted",
        "app/kit/sqlite.py",
        '"secure_delete=ON"',
        '"secure_delete=OFF"',
        ("tests/kit/test_sqlite.py", "-k", "next_to_gone"),
    ),
    Mutant(
        "who acted stays on the connection",
        "app/kit/acting.py",
        "set_config('role', $1, true)",
        "set_config('role', $1, false)",
        ("tests/kit/test_acting.py", "-k", "take_turns"),
    ),
    Mutant(
        "a request acts as the worker",
        "app/kit/context.py",
        "begin(acting=acting)",
        "begin(acting=WORKER)",
        ("tests/access/test_walls.py", "-k", "acts_as_the_gate_says"),
    ),
    Mutant(
        "the door asks for the top key",
        "app/connections/doors.py",
        "await door_of(tx, self._keyring, name))\n",
        "await door_of(tx, self._keyring, name, by_top_key=True))\n",
        ("tests/keys/test_top_key_away.py", "-k", "deliveries_are_taken_in and sqlite"),
    ),
    Mutant(
        "a forked process puts in by its parent's pair",
        "app/kit/slot.py",
        " and self._forks == _forks",
        "",
        ("tests/kit/test_slot.py", "-k", "forked"),
    ),
    Mutant(
        "a slot's secret is not bound to the slot",
        "app/kit/slot.py",
        'b"shared_secret" + enc + public',
        'b"shared_secret" + enc',
        ("tests/kit/test_slot.py", "-k", "rfc_9180"),
    ),
    Mutant(
        "a key that is away is a message's fault",
        "app/kit/pulling.py",
        "NOBODYS_FAULT = (Fenced, KeysAway)",
        "NOBODYS_FAULT = (Fenced,)",
        ("tests/keys/test_top_key_away.py", "-k", "counts_no_failure and sqlite"),
    ),
    Mutant(
        "a version that goes leaves the door what it had",
        "app/rotation.py",
        "            await take_back(tx, organization_id, old)\n",
        "            pass\n",
        ("tests/keys/test_door_keys.py", "-k", "version_that_is_gone and sqlite"),
    ),
)
