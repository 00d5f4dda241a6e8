"""The page on which files are handed in, without a browser: what a file would become, what its columns mean, what is refused."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from uuid import UUID

import httpx
import pytest

from app.access.roles import Role
from app.access.sessions import FRESH_FOR
from app.connections import managing
from app.kit import clock
from connectors.file.columns import columns_of
from connectors.file.glimpse import MOST_WORDS
from tests.intake.exports import connected, exported, handed
from tests.intake.test_handing_in import timelines, written
from tests.support.world import World
from tests.timeline.test_importing import MAIL, mailbox
from tests.web.test_office_pages import text_of

EXPORT = (
    b"Member No.;Alert ID;Alert Type;Lender;Amount;Opened\n"
    b"ref-one;x-1;New Credit Card;Invented Bank;$1,200.50;03/20/2023\n"
    b"ref-two;x-2;Score Change;;;\n"
    b"ref-two;x-3;New Loan;A <b>Lender</b>;70;03/21/2023\n"
)
CHOSEN = {
    "member": "Member No.",
    "id": "Alert ID",
    "kind": "Alert Type",
    "institution": "Lender",
    "amount": "Amount",
    "currency": "usd",
    "opened": "Opened",
    "opened_written": "MM/DD/YYYY",
    "occurred_written": "ISO",
    "reported_written": "ISO",
}


def page_of(connection_id: UUID) -> str:
    return f"/admin/connections/{connection_id}"


async def choose(world: World, connection_id: UUID, file: bytes | None, todo: str, **fields: str) -> httpx.Response:
    """The form with a file, sent by the admin."""
    async with await world.sign_in(Role.ADMIN) as admin:
        chosen = ("export.csv", file, "text/csv") if file is not None else ("", b"", "application/octet-stream")
        return await admin.post(f"{page_of(connection_id)}/files", files={"file": chosen}, data={"todo": todo, **fields})


async def say(world: World, connection_id: UUID, fields: dict[str, str | list[str]]) -> httpx.Response:
    """The form about columns, sent by the admin."""
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.post(f"{page_of(connection_id)}/columns", data=fields)


async def opened(world: World, connection_id: UUID, more: str = "") -> httpx.Response:
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.get(f"{page_of(connection_id)}/files{more}")


def hidden(html: str) -> dict[str, str | list[str]]:
    """The hidden fields of the form, `word` as a list."""
    form = html.partition('class="sheet"')[2].partition("</form>")[0]
    pairs = [(name, unescape(value)) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)]
    return {**dict(pairs), "word": [value for name, value in pairs if name == "word"]}


async def test_a_file_is_looked_at_then_handed_in(world: World) -> None:
    connection_id = await connected(world)
    file = exported(2, ("ref-one", "z", "ssn.use"), ("ref-two", "w", "<i>odd</i>", ""))
    looked = await choose(world, connection_id, file, "look")
    said = text_of(looked.text)
    assert looked.status_code == 200
    for expected in (
        "It has 4 rows.",
        "New accounts: credit card 2",
        "A question for a caseworker 1",
        "One row cannot be read",
        "4 It has 3 columns, and the header has 4.",
        "New accounts: credit card · ref-one",
        "Choose the same file once more",
    ):
        assert expected in said
    sha256 = hidden(looked.text)["sha256"]
    other = await choose(world, connection_id, exported(1), "add", sha256=str(sha256))
    assert (other.status_code, "This is another file" in other.text) == (409, True)
    assert await timelines(world) == []
    kept = await choose(world, connection_id, file, "add", sha256=str(sha256))
    assert "The file is kept, all of it. 4 rows" in text_of(kept.text)
    assert len(await timelines(world)) == 2
    again = await choose(world, connection_id, file, "add")
    assert "This file is kept already, since 1 June 2023, 12:00 UTC. Nothing was added." in text_of(again.text)
    assert "4 rows, " in text_of((await opened(world, connection_id)).text)


async def test_a_file_that_stopped_shows_how_far_it_has_come(world: World) -> None:
    connection_id, file = await connected(world), exported(700)
    await handed(world, connection_id, file)
    assert "256 rows" in (said := text_of((await opened(world, connection_id)).text))
    assert "Stopped at 36 %" in said
    assert "700 rows" in text_of((await choose(world, connection_id, file, "add")).text)


@pytest.mark.parametrize(
    ("line", "column", "what"),
    [
        (";x;New Credit Card;B;1;03/20/2023", "Member No.", "This must not be empty"),
        ("ref-one;x;;B;1;03/20/2023", "Alert Type", "This must not be empty"),
        ("ref-one;x;New Credit Card;B;much;03/20/2023", "Amount", "Write the amount as 1,200.50"),
        ("ref-one;x;New Credit Card;B;1;2023-03-20", "Opened", "Write the day as 03/30/2023"),
        ('ref-one;x;New Credit Card;"B;1;03/20/2023', "", "A quotation mark is left open."),
    ],
)
async def test_a_bad_row_is_named_by_number_and_column_in_plain_words(world: World, line: str, column: str, what: str) -> None:
    connection_id = await connected(world)
    await written(world, connection_id, json.dumps(tree_of(CHOSEN, {"New Credit Card": "new_account.credit_card"})))
    looked = text_of((await choose(world, connection_id, EXPORT + line.encode() + b"\n", "look")).text)
    assert f"5 {column} {what}".replace("  ", " ") in looked


def tree_of(chosen: dict[str, str], words: dict[str, str]) -> dict[str, object]:
    plain = {name: chosen[name] for name in ("member", "id", "institution")}
    return plain | {
        "kind": {"column": chosen["kind"], "words": words},
        "amount": {"column": chosen["amount"], "currency": "USD"},
        "opened": {"column": chosen["opened"], "written": chosen["opened_written"]},
    }


async def test_what_the_columns_mean_is_chosen_in_two_steps_and_kept_as_a_version(world: World) -> None:
    connection_id = await connected(world)
    first = await choose(world, connection_id, EXPORT, "columns")
    assert first.status_code == 200
    for field, guessed in (("member", "Member No."), ("id", "Alert ID"), ("kind", "Alert Type"), ("opened", "Opened")):
        select = first.text.partition(f'<select id="{field}"')[2].partition("</select>")[0]
        assert f'<option value="{guessed}" selected>' in select
    second = await say(world, connection_id, {**hidden(first.text), **CHOSEN, "todo": "words"})
    carried = hidden(second.text)
    assert carried["word"] == ["New Credit Card", "Score Change", "New Loan"]
    meant = {"meant.0": "new_account.credit_card", "meant.1": "ignore", "meant.2": "ask", "otherwise": "ask"}
    saved = await say(world, connection_id, {**carried, **meant, "todo": "save"})
    assert (saved.status_code, saved.headers["location"]) == (303, f"{page_of(connection_id)}/files?said=columns")
    page = await opened(world, connection_id, "?said=columns")
    assert "Saved. From now on files are read by it." in page.text
    assert "Version 1" in page.text
    text = unescape(page.text.partition('<pre class="original"><code>')[2].partition("</code>")[0])
    columns = columns_of({"columns": text})
    assert columns == columns_of(
        {"columns": json.dumps(tree_of(CHOSEN, {"New Credit Card": "new_account.credit_card", "Score Change": "ignore"}))}
    )
    looked = text_of((await choose(world, connection_id, EXPORT, "look")).text)
    for expected in ("credit card 1", "no alert 1", "caseworker 1", "Cannot be read 0", "opened on 20 March 2023", "1200.50 USD"):
        assert expected in looked


async def test_a_document_that_is_there_is_shown_and_keeps_what_the_form_does_not_ask(world: World) -> None:
    connection_id = await connected(world)
    tree = tree_of(CHOSEN, {"Old Word": "ssn.use"}) | {"delimiter": ";", "bureau": "experian"}
    await written(world, connection_id, json.dumps(tree))
    first = await choose(world, connection_id, EXPORT, "columns")
    assert '<option value="MM/DD/YYYY" selected>' in first.text
    second = await say(world, connection_id, {**hidden(first.text), **CHOSEN, "todo": "words"})
    carried = hidden(second.text)
    assert carried["word"] == ["New Credit Card", "Score Change", "New Loan", "Old Word"]
    meant = {"meant.0": "ask", "meant.1": "ask", "meant.2": "ask", "meant.3": "ssn.use", "otherwise": "ignore"}
    assert (await say(world, connection_id, {**carried, **meant, "todo": "save"})).status_code == 303
    page = await opened(world, connection_id)
    assert page.text.count('<pre class="original">') == 2, "every version is listed"
    newest = unescape(page.text.partition('<pre class="original"><code>')[2].partition("</code>")[0])
    columns = columns_of({"columns": newest})
    assert (columns.delimiter, columns.bureau) == (";", "experian")
    assert "otherwise: ignore" in newest
    assert "New Loan: ask" in newest
    stale = await say(world, connection_id, {**carried, **meant, "todo": "save"})
    assert (stale.status_code, "Somebody has changed this document meanwhile." in stale.text) == (409, True)


async def test_all_rows_may_be_one_kind_and_what_excel_writes_is_read(world: World) -> None:
    connection_id = await connected(world)
    first = await choose(world, connection_id, "Member,Résumé\nref-one,Café\n".encode("windows-1252"), "columns")
    carried = hidden(first.text)
    assert (carried["encoding"], json.loads(str(carried["columns"]))) == ("windows-1252", ["Member", "Résumé"])
    chosen = {"member": "Member", "summary": "Résumé", "kind": "", "kind_all": "ssn.use", "todo": "words"}
    assert (await say(world, connection_id, {**carried, **chosen})).status_code == 303
    looked = await choose(world, connection_id, "Member,Résumé\nref-one,Café\n".encode("windows-1252"), "look")
    assert "Café" in looked.text


async def test_json_has_columns_too(world: World) -> None:
    connection_id = await connected(world)
    for file in (
        b'[{"who": "ref-one", "what": "Card"}, {"what": "Card", "n": 5}]',
        b'{"who": "ref-one", "what": "Card", "n": 5}\n',
    ):
        carried = hidden((await choose(world, connection_id, file, "columns")).text)
        assert json.loads(str(carried["columns"])) == ["who", "what", "n"]
        assert json.loads(str(carried["words"]))["what"] == ["Card"]


async def test_a_column_with_many_words_is_none_of_those_that_say_what_happened(world: World) -> None:
    connection_id = await connected(world)
    lines = "".join(f"m-{n},{'AB'[n % 2]}\n" for n in range(MOST_WORDS + 1))
    carried = hidden((await choose(world, connection_id, f"who,what\n{lines}".encode(), "columns")).text)
    assert json.loads(str(carried["words"])) == {"what": ["A", "B"]}


async def test_what_is_not_right_is_said_beside_its_field(world: World) -> None:
    connection_id = await connected(world)
    carried = hidden((await choose(world, connection_id, EXPORT, "columns")).text)
    wrong: list[tuple[dict[str, str], str, str]] = [
        ({"member": ""}, "member", "Choose the column that says whose it is."),
        ({"member": "Other"}, "member", "Choose one of the columns"),
        ({"kind": ""}, "kind", "Choose the column that says what happened"),
        ({"kind": "", "kind_all": "nonsense"}, "kind_all", "Choose what all rows are"),
        ({"currency": "dollars"}, "currency", "three capital letters"),
        ({"opened_written": "backwards"}, "opened_written", "Choose"),
    ]
    for change, name, said in wrong:
        answer = await say(world, connection_id, {**carried, **CHOSEN, **change, "todo": "words"})
        assert answer.status_code == 422, change
        assert said in text_of(answer.text.partition(f'id="{name}-wrong"')[2].partition("</small>")[0].partition(">")[2])
    words: dict[str, str | list[str]] = {"word": ["Card"], "meant.0": "nonsense", "otherwise": "ask", "todo": "save"}
    answer = await say(world, connection_id, {**carried, **CHOSEN, **words})
    assert (answer.status_code, "Choose what this word means." in answer.text) == (422, True)
    for broken in ({"columns": "x"}, {"words": "[]"}, {"encoding": "ebcdic"}, {"after": "soon"}, {"todo": "other"}):
        assert (await say(world, connection_id, {**carried, **CHOSEN, "todo": "words", **broken})).status_code == 422
    assert "Version" not in (await opened(world, connection_id)).text


@pytest.mark.parametrize("todo", ["look", "add", "columns"])
async def test_a_file_that_will_not_do_is_said_beside_its_field(world: World, todo: str) -> None:
    connection_id = await connected(world)
    for file, said in ((None, "Choose a file."), (b"", "This file is empty."), (b"a,a\n", "columns 1 and 2 have the same name")):
        answer = await choose(world, connection_id, file, todo)
        assert answer.status_code == 422
        assert said in answer.text.partition('id="file-wrong"')[2].partition("</small>")[0]
    assert (await choose(world, connection_id, EXPORT, "other")).status_code == 422


async def test_mails_are_handed_in_on_the_same_page(world: World) -> None:
    connection_id = await mailbox(world)
    start = await opened(world, connection_id)
    assert "What the columns mean" not in start.text
    assert "One saved mail (.eml) or many (.mbox)" in start.text
    looked = await choose(world, connection_id, MAIL, "look", to="somebody@alerts.example.org")
    assert "It has 1 mail." in text_of(looked.text)
    assert 'value="somebody@alerts.example.org"' in looked.text
    assert (await choose(world, connection_id, MAIL, "columns")).status_code == 409
    wrong = await choose(world, connection_id, MAIL, "look", to="x" * 400)
    assert (wrong.status_code, 'id="to-wrong"' in wrong.text) == (422, True)
    kept = await choose(world, connection_id, MAIL, "add", to="somebody@alerts.example.org")
    assert "The file is kept, all of it. 1 mail" in text_of(kept.text)


async def test_a_connection_says_where_its_files_are_handed_in(world: World) -> None:
    connection_id, standard = await connected(world), world.union.connection.connection.id
    async with await world.sign_in(Role.ADMIN) as admin:
        link = f'href="{page_of(connection_id)}/files"'
        assert link in (await admin.get(page_of(connection_id))).text
        assert "Hand in a file" not in (await admin.get(page_of(standard))).text
        assert (await admin.get(f"{page_of(standard)}/files")).status_code == 409
        async with world.context.database.begin() as tx:
            await managing.close(tx, world.context.keyring, world.union.id, connection_id)
        assert "Hand in a file" not in (await admin.get(page_of(connection_id))).text
    assert (await choose(world, connection_id, EXPORT, "add")).status_code == 409


async def test_who_must_first_show_that_it_is_them_chooses_the_file_again(world: World) -> None:
    connection_id = await connected(world)
    async with await world.sign_in(Role.ADMIN) as admin:
        clock.set_to(clock.now() + FRESH_FOR + timedelta(seconds=1))
        answer = await admin.post(
            f"{page_of(connection_id)}/files", files={"file": ("a.csv", exported(1), "text/csv")}, data={"todo": "add"}
        )
        assert answer.status_code == 403
        assert "The file is not kept meanwhile: choose it again afterwards." in text_of(answer.text)
        assert f'data-then="{page_of(connection_id)}/files"' in answer.text


async def test_what_stands_in_a_file_never_becomes_a_part_of_the_page(world: World) -> None:
    connection_id = await connected(world)
    evil = '"><script>x</script>\u202e'
    file = f'member,"{evil.replace(chr(34), chr(34) * 2)}",type\nref-one,x,"{evil.replace(chr(34), chr(34) * 2)}"\n'.encode()
    first = await choose(world, connection_id, file, "columns")
    chosen = {"member": "member", "id": evil, "kind": "type", "currency": "USD"}
    second = await say(world, connection_id, {**hidden(first.text), **chosen, "todo": "words"})
    assert hidden(second.text)["word"] == [evil]
    saved = await say(world, connection_id, {**hidden(second.text), "meant.0": "ssn.use", "otherwise": "ask", "todo": "save"})
    assert saved.status_code == 303
    looked = await choose(world, connection_id, file, "look")
    for answer in (first, second, looked, await opened(world, connection_id)):
        assert answer.status_code == 200
        assert "<script" not in answer.text
