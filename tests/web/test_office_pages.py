"""The admin's page and the statistics page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

from app.access.roles import Role
from tests.statistics.synthetic import crowd, incident, population
from tests.support.world import World
from tests.web.fill import publish

HEADING = "external_id,name,email,employed_from,employed_to\n"


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


async def test_a_roster_is_checked_then_taken_in_and_every_bad_row_is_named(world: World) -> None:
    good = HEADING + "M-1,Avery Invented,avery@example.org,2012-01-01,\nM-9,Dana Invented,,2015-02-01,2019-01-01\n"
    bad = HEADING + "M-9,<b>Dana</b>,nowhere,2015-02-01,\n,Eli Invented,,soon,\n"
    async with await world.sign_in(Role.ADMIN) as admin:
        named = await admin.post("/admin/roster", files={"file": ("r.csv", bad)}, data={"todo": "import"})
        checked = await admin.post("/admin/roster", files={"file": ("r.csv", good)}, data={"todo": "check"})
        taken = await admin.post("/admin/roster", files={"file": ("r.csv", good)}, data={"todo": "import"})
        again = await admin.post("/admin/roster", files={"file": ("r.csv", good)}, data={"todo": "import"})
        nothing = await admin.post("/admin/roster", data={"todo": "import"})
        binary = await admin.post("/admin/roster", files={"file": ("r.csv", b"\xff\xfe\x00")})
    assert named.status_code == 422
    read = text_of(named.text)
    assert "Nothing was taken in." in read
    assert "2 email is not an e-mail address" in read
    assert "3 external_id is empty: fill it in" in read
    assert "3 employed_from is not a date" in read
    assert "Dana" not in named.text
    assert "Nothing has been changed yet. 1 new, 0 changed, 1 as they were." in text_of(checked.text)
    assert "The roster is taken in. 1 new" in text_of(taken.text)
    assert "0 new, 0 changed, 2 as they were" in text_of(again.text)
    assert (nothing.status_code, binary.status_code) == (422, 422)
    assert "not UTF-8" in binary.text


async def test_an_admin_adds_people_but_no_counsel(world: World) -> None:
    async with await world.sign_in(Role.ADMIN) as admin:
        done = await admin.post("/admin/people", data={"email": "new@union.example", "role": "staff"})
        counsel = await admin.post("/admin/people", data={"email": "law@union.example", "role": "counsel"})
        wrong = await admin.post("/admin/people", data={"email": "new", "role": "staff"})
        html = (await admin.get("/admin")).text
    assert done.status_code == 303
    assert counsel.status_code == 422
    assert "Choose a role." in counsel.text
    assert 'value="new"' in wrong.text
    assert text_of(html).count("Staff 1 June 2023") == 2
    assert "new@union.example" not in html


async def test_before_the_first_edition_the_page_says_so(world: World) -> None:
    async with await world.sign_in(Role.STAFF) as staff:
        assert "No statistics have been published yet." in (await staff.get("/statistics")).text


async def test_the_page_shows_the_numbers_that_were_released_and_hides_the_others(world: World) -> None:
    release = await publish(world, population(5, hit=240), 714, datetime(2025, 1, 2, tzinfo=UTC))
    async with await world.sign_in(Role.STAFF) as staff:
        answer = await staff.get("/statistics")
    read = text_of(answer.text)
    assert f"{release.cubes[0].cells[0].value} of 714 members" in read
    for cube in release.cubes:
        assert cube.title in read
    assert "No number below 11 is shown" in read
    assert "hidden" in read
    assert "%" not in read
    shown = {str(cell.value) for cube in release.cubes for cell in cube.cells if cell.value is not None}
    numbers = set(re.findall(r'<td class="number[^"]*">([0-9]+)', answer.text))
    assert numbers
    assert numbers <= shown
    assert all(int(number) >= 11 for number in numbers)


async def test_few_members_are_not_counted_aloud(world: World) -> None:
    few = [*crowd(1, 4, 2), incident(9, 3)]
    await publish(world, few, 714, datetime(2024, 1, 2, tzinfo=UTC))
    async with await world.sign_in(Role.COUNSEL) as counsel:
        read = text_of((await counsel.get("/statistics")).text)
    assert "hidden of 714 members" in read
    assert "5 of 714" not in read
