"""`harmline backup`, `upgrade` and `doctor`: what keeps an installation well."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from app.handing_over import hand_over
from app.kit import migrate as schema
from app.kit.acting import ITSELF
from app.kit.context import Context, is_door_alone, open_context, open_door
from app.kit.crypto import Unreadable
from app.kit.database import Database
from app.kit.errors import Problem
from app.kit.health import SCHEMA, Readiness
from app.kit.keyring import Keyring, Lane
from app.kit.mail import Mailer
from app.kit.vault import KeyFile, KeyFileError, create_key_file
from app.main import Workers, consumers
from app.operations import Operation, unconfirmed_keys
from app.terminal import read_settings, run
from app.upkeep import backups
from app.upkeep.census import rows_by_table
from app.upkeep.doctor import Findings, examine, refusals
from app.upkeep.journal import Journal, JournalBroken, Record
from app.upkeep.manifest import Manifest
from app.upkeep.upgrading import WHEN_IT_FAILS, Step, lost
from app.watch.readiness import checks
from app.watch.repository import organizations

backup = typer.Typer(no_args_is_help=True, help="Backups: make, try, restore. No key is ever in one.")

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The backup's folder.")]


def _told(manifest: Manifest) -> str:
    rows, entries = sum(manifest.census.tables.values()), manifest.census.ledger.entries
    return f"{rows} rows, {entries} entries in the ledger, revision {manifest.schema_revision}, key {manifest.key}"


@backup.command("create")
def backup_create(
    to: Annotated[Path | None, typer.Option(help="Below which folder; else HARMLINE_BACKUP_FOLDER.")] = None,
) -> None:
    """Make a backup while the service runs. The key file and the list of erasures are not in it: copy them elsewhere."""
    made = run(make_backup(to))
    typer.echo(f"{made} made. Try it: harmline backup verify {made}")


def make_backup(to: Path | None) -> Operation[Path]:
    """What makes a backup below a folder, or where the settings say."""

    async def make(context: Context) -> Path:
        return await _back_up(context, to or context.settings.backup_folder)

    return make


async def _back_up(context: Context, into: Path) -> Path:
    """Make a backup as the owner of the tables, or who else may read all of them."""
    owner = Database(context.settings.migrating_url, ITSELF)
    try:
        return await backups.create(owner, context.keyring, Journal(context.settings.journal), into)
    finally:
        await owner.close()


@backup.command("verify")
def backup_verify(folder: Folder) -> None:
    """Restore a backup into a scratch database and compare: files, rows, accounts, ledger, keys, migrations."""

    async def look(context: Context) -> Manifest:
        return await backups.verify(folder, context.settings.migrating_url, context.keyring)

    typer.echo(f"{folder} is whole and can be restored: {_told(run(look))}.")


def erasures_of(path: Path, *, none: bool) -> list[Record]:
    """The list of erasures that a restore must be given. Raises a Problem when it is missing, or broken."""
    if none:
        return []
    try:
        return Journal(path).read()
    except FileNotFoundError:
        raise Problem(
            404,
            f"{path}, the list of erasures, is missing: without it people who were erased would come back. Restore your copy "
            "of it (HARMLINE_JOURNAL_FILE names another place). If nobody was ever erased: --nobody-was-erased",
        ) from None
    except JournalBroken as error:
        raise Problem(422, str(error)) from None


async def finish(context: Context, url: str) -> None:
    """Do all work that waits in a restored database, without the outside: no letter is sent, no provider asked."""
    settings = context.settings.model_copy(update={"database_url": url})
    restored = Context(settings, Database(url), context.keyring, Mailer(None, settings.mail_from))
    workers = Workers(restored)
    try:
        await hand_over(restored.database, restored.keyring, anew=True)
        await workers.tick()
        await workers.sweep()
        await workers.tick()
    finally:
        await workers.asker.close()
        await restored.database.close()


@backup.command("restore")
def backup_restore(
    folder: Folder,
    nobody_was_erased: Annotated[
        bool, typer.Option("--nobody-was-erased", help="There is no list of erasures, because there never was one.")
    ] = False,
) -> None:
    """Restore a backup into the empty database that HARMLINE_DATABASE_URL names. Whoever was erased stays erased."""

    async def restore(context: Context) -> backups.Restored:
        records = erasures_of(context.settings.journal, none=nobody_was_erased)
        return await backups.restore(
            folder, context.settings.migrating_url, context.keyring, records, lambda url: finish(context, url)
        )

    done = run(restore)
    typer.echo(f"Restored: {_told(done.manifest)}.")
    typer.echo(
        f"{done.applied.members} members and {done.applied.keys} keys were erased again. Everybody was signed out: "
        f"{done.applied.signed_out} sessions, links and tokens have ended."
    )
    typer.echo(
        f"What changed after {done.manifest.made_at:%Y-%m-%d %H:%M} UTC is lost, but for alerts that providers still list. Now:\n"
        "  1. harmline serve, then for each connection that is asked: harmline connections sweep CONNECTION\n"
        "  2. ask the providers that only send to send again what they sent since then\n"
        "  3. go through what people changed since then, above all roles that were taken: they are as they were. Consents that"
        " were taken back, secrets that were replaced and connections that were closed are so again; give senders new secrets"
    )


async def untried_keys(context: Context) -> list[str]:
    """What to say where people's data would hang on a top key that nobody has ever recovered; nothing in development."""
    names = await unconfirmed_keys(context) if context.settings.https else []
    if not names:
        return []
    return [
        f"nobody has tried to recover the top key {', '.join(names)}. If its file is lost, nothing can ever be read again. "
        "Hand it out in shares with `harmline keys escrow --shares 5 --needed 3`, then let three of those people run "
        "`harmline keys confirm`."
    ]


def doctor() -> None:
    """Say what is unsafe, what stands in the way, and what would be better otherwise. Ends with 1 for the first two."""

    async def look(context: Context) -> Findings:
        found = await examine(context, checks(consumers(context)))
        with suppress(SQLAlchemyError):  # a database that does not answer is an obstacle already
            found.refusals += [] if alone else await untried_keys(context)
        return found

    alone = is_door_alone(read_settings())
    found = run(look, open_door if alone else open_context)
    for reason in found.refusals:
        typer.echo(f"Would not start: {reason}")
    for obstacle in found.obstacles:
        typer.echo(f"Not ready: {obstacle}")
    for advice in found.advice:
        typer.echo(f"Better: {advice}")
    if found.refusals or found.obstacles:
        raise typer.Exit(1)
    typer.echo("Nothing stands in the way.")


async def _counted(context: Context) -> dict[str, int]:
    """As the owner: under an older schema the roles of today may find nothing."""
    owner = Database(context.settings.migrating_url, ITSELF)
    try:
        async with owner.begin(read_only=True) as tx:
            return await rows_by_table(tx)
    finally:
        await owner.close()


async def _all_keys_open(context: Context) -> None:
    async with context.database.begin(read_only=True) as tx:
        for organization_id in await organizations(tx):
            for lane in Lane:
                await context.keyring.opened(tx, organization_id, lane)


async def _let_the_door_have_its_own(context: Context) -> None:
    """A key, where it has none yet, and what it needs of every organization."""
    path, lock = context.settings.door_key, context.settings.key_lock
    if not path.exists():
        create_key_file(path, lock)
    await hand_over(context.database, Keyring(context.keyring.vault, KeyFile(path, lock)))


async def upgrade_steps(context: Context, begun: Callable[[Step], None]) -> Path:
    """Check, back up, migrate, verify; `begun` is told of each step. The backup made on the way. Raises a Problem."""
    begun(Step.CHECK)
    if found := await refusals(context.settings, "doctor"):
        raise Problem(409, " ".join(found))
    before = await _counted(context)
    begun(Step.BACKUP)
    made = await _back_up(context, context.settings.backup_folder)
    await backups.verify(made, context.settings.migrating_url, context.keyring)
    begun(Step.MIGRATE)
    await context.database.engine.dispose()
    await asyncio.to_thread(schema.upgrade, context.settings.migrating_url)
    begun(Step.VERIFY)
    await _all_keys_open(context)
    await _let_the_door_have_its_own(context)
    obstacles = [one.says for one in await Readiness(context).obstacles() if one.reason == SCHEMA]
    if amiss := lost(before, await _counted(context)) + obstacles:
        raise Problem(409, f"{'; '.join(amiss)}. The backup is {made}.")
    return made


def upgrade() -> None:
    """Check, back up, migrate and verify, and say what to do if one of these fails. Stop the service first with SQLite."""
    steps: list[Step] = []

    def begun(step: Step) -> None:
        steps.append(step)
        typer.echo(f"{len(steps)} of {len(Step)}: {step} ...")

    async def make(context: Context) -> Path:
        try:
            return await upgrade_steps(context, begun)
        except (Problem, SQLAlchemyError, OSError, Unreadable, KeyFileError) as error:
            said = str(error) if isinstance(error, Problem) else type(error).__name__
            raise Problem(409, f"{steps[-1]} failed: {said}\n{WHEN_IT_FAILS[steps[-1]]}") from None

    made = run(make)
    typer.echo(f"Done: the database is of revision {schema.head()}. {made} holds it as it was. Start the service.")
