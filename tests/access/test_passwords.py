"""Password and code: what is good enough, what is right, that nobody learns who has one, and that guessing locks nobody out."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.access import passwords, ways_in
from app.access import service as access
from app.access.models import Guesses, Password
from app.access.roles import Role
from app.kit import clock
from tests.access.entering import PASSWORD, code_of, first_password, link, make_password, sign, type_in
from tests.access.entering import first_passkey as make_first_passkey
from tests.access.scene import Scene
from tests.support.world import NOW, World

EMAIL = "avery@example.org"


async def next_code(secret: str) -> str:
    """The code of the half minute after the one that was used."""
    clock.set_to(clock.now() + timedelta(seconds=30))
    return code_of(secret)


async def test_a_member_makes_a_password_with_a_code_app_and_signs_in(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        secret = await make_password(browser)
        assert (await browser.get("/v1/me")).json()["role"] == "member"
        await browser.post("/sign-out")
        answer = await type_in(browser, "  AVERY@example.org ", PASSWORD, await next_code(secret))
        assert (answer.status_code, answer.headers.get("location")) == (303, "/timeline")
        assert (await browser.get("/v1/me")).json()["member_id"] == str(world.union.members["M-1"])


WRONG = {
    "the password": ("x" + PASSWORD, 0),
    "no password": ("", 0),
    "only its beginning": (PASSWORD[:-1], 0),
    "more than it": (PASSWORD + " ", 0),
    "the code before last": (PASSWORD, -2),
    "the code after next": (PASSWORD, 2),
}


@pytest.mark.parametrize("what", WRONG)
async def test_whatever_is_wrong_the_answer_is_the_same(world: World, what: str) -> None:
    secret = await first_password(world)
    clock.set_to(NOW + timedelta(minutes=2))
    password, steps = WRONG[what]
    async with world.browser() as browser:
        wrong = await type_in(browser, EMAIL, password, code_of(secret, steps))
        nobody = await type_in(browser, "nobody@example.org", password, code_of(secret, steps))
        staff = await type_in(browser, "staff@union.example", password, code_of(secret, steps))
        assert (await type_in(browser, EMAIL, PASSWORD, code_of(secret))).status_code == 303
    assert wrong.status_code == nobody.status_code == staff.status_code == 401
    assert wrong.text.replace(EMAIL, "") == nobody.text.replace("nobody@example.org", "")
    assert wrong.text.replace(EMAIL, "") == staff.text.replace("staff@union.example", "")
    assert dict(wrong.headers) | {"content-length": ""} == dict(nobody.headers) | {"content-length": ""}


async def test_a_wrong_guess_leaves_the_same_rows_whoever_has_the_address(world: World) -> None:
    await first_password(world)
    scene, seen = Scene(world), []
    for email in ("nobody@example.org", EMAIL):
        before = await scene.digest()
        async with world.browser() as browser:
            await type_in(browser, email, "wrong", "000000")
        after = await scene.digest()
        seen.append([name for name in after if after[name] != before[name]])
    assert seen == [["guesses"], ["guesses"]]


async def test_a_code_counts_once(world: World) -> None:
    secret = await first_password(world)
    async with world.browser() as browser:
        assert (await type_in(browser, EMAIL, PASSWORD, code_of(secret))).status_code == 401, "it was used to set up the app"
        code = await next_code(secret)
        answers = await asyncio.gather(*(type_in(browser, EMAIL, PASSWORD, code) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [303] + [401] * 5
        assert (await type_in(browser, EMAIL, PASSWORD, code_of(secret, -1))).status_code == 401, "nor an older one"


async def test_strangers_who_guess_lock_no_known_browser_out(world: World) -> None:
    secret = await first_password(world)
    async with world.browser() as own:
        assert (await type_in(own, EMAIL, PASSWORD, await next_code(secret))).status_code == 303
        await own.post("/sign-out")
        index = await index_of(world)
        async with world.context.database.begin() as tx:
            await tx.merge(Guesses(key=index, count=ways_in.MOST_GUESSES, since=clock.now()))
        async with world.browser() as stranger:
            assert (await type_in(stranger, EMAIL, PASSWORD, await next_code(secret))).status_code == 401, "even if it is right"
        assert (await type_in(own, EMAIL, PASSWORD, code_of(secret))).status_code == 303


async def index_of(world: World) -> bytes:
    async with world.context.database.begin(read_only=True) as tx:
        return await access.email_index(tx, world.context.keyring, EMAIL)


async def test_whoever_reads_the_mail_is_no_stranger_in_that_browser(world: World) -> None:
    secret = await first_password(world)
    index = await index_of(world)
    async with world.context.database.begin() as tx:
        await tx.merge(Guesses(key=index, count=ways_in.MOST_GUESSES, since=clock.now()))
    async with world.browser() as browser:
        assert (await type_in(browser, EMAIL, PASSWORD, await next_code(secret))).status_code == 401
        assert (await browser.post(await link(world))).headers["location"] == "/recovery"
        assert (await type_in(browser, EMAIL, PASSWORD, code_of(secret))).status_code == 303


async def test_a_passkey_signs_in_however_many_guess(world: World) -> None:
    key = await make_first_passkey(world)
    index = await index_of(world)
    async with world.context.database.begin() as tx:
        await tx.merge(Guesses(key=index, count=10**6, since=clock.now()))
    async with world.browser() as browser:
        assert (await sign(browser, key)).status_code == 200


async def test_guesses_are_counted_for_thirty_days_whatever_the_address_looks_like(world: World) -> None:
    await first_password(world)
    async with world.browser() as browser:
        for typed in (EMAIL, EMAIL.upper(), f" {EMAIL}", EMAIL.title()):
            await type_in(browser, typed, "wrong", "000000")

    async def counted() -> int:
        async with world.context.database.begin(read_only=True) as tx:
            return (await tx.execute(select(func.coalesce(func.max(Guesses.count), 0)))).scalar_one()

    assert await counted() == 4
    clock.set_to(NOW + timedelta(days=30))
    async with world.browser() as browser:
        await type_in(browser, EMAIL, "wrong", "000000")
    assert await counted() == 1
    clock.set_to(NOW + timedelta(days=61))
    await world.workers.sweep()
    assert await counted() == 0


async def test_a_password_shows_once_more_who_it_is(world: World) -> None:
    secret = await first_password(world)
    async with world.browser() as browser:
        await type_in(browser, EMAIL, PASSWORD, await next_code(secret))
        clock.set_to(clock.now() + timedelta(minutes=6))
        assert (await browser.post("/ways-in/recovery-code", data={})).status_code == 403
        wrong = await browser.post("/confirm/password", data={"password": "x", "code": code_of(secret), "then": "/ways-in"})
        assert wrong.status_code == 401
        right = {"password": PASSWORD, "code": code_of(secret), "then": "/ways-in"}
        assert (await browser.post("/confirm/password", data=right)).headers["location"] == "/ways-in"
        assert (await browser.post("/confirm/password", data=right)).status_code == 401, "a code counts once here too"
        assert (await browser.post("/ways-in/recovery-code", data={})).status_code == 200


async def test_a_password_that_waits_for_its_first_code_signs_nobody_in(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        await browser.post("/ways-in/password", data={"password": PASSWORD, "again": PASSWORD})
        page = (await browser.get("/ways-in/password/code")).text
        assert "<svg" in page
        secret = page.partition("Type this into the app</summary><p><code>")[2].partition("<")[0]
        assert (await browser.post("/ways-in/password/code", data={"code": "12"})).status_code == 422
        assert (await browser.get("/v1/me")).status_code == 403
        assert (await type_in(browser, EMAIL, PASSWORD, code_of(secret))).status_code == 401


@pytest.mark.parametrize(
    ("typed", "again", "told"),
    [
        ("short", "short", "15 characters or more"),
        ("passwordpassword", "passwordpassword", "easy to guess"),
        ("qwertyuiopasdfghjkl", "qwertyuiopasdfghjkl", "easy to guess"),
        ("averyavery@example.org", "averyavery@example.org", "easy to guess"),
        ("a" * 129, "a" * 129, "128 characters or fewer"),
        ("seven quiet\x00 herons under glass", "seven quiet\x00 herons under glass", "cannot be seen"),
        (PASSWORD, PASSWORD + "x", "do not match"),
    ],
)
async def test_a_password_that_is_not_good_enough_is_told_why(world: World, typed: str, again: str, told: str) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        answer = await browser.post("/ways-in/password", data={"password": typed, "again": again})
        assert (answer.status_code, told in answer.text) == (422, True), answer.text
        assert typed not in answer.text


async def test_a_second_password_needs_the_first_gone(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        await make_password(browser)
        answer = await browser.post("/ways-in/password", data={"password": PASSWORD, "again": PASSWORD})
        assert answer.status_code == 409
        assert (await browser.post("/ways-in/remove", data={"which": "password"})).status_code == 409, "it is the only way in"


async def test_the_password_and_the_apps_secret_are_nowhere_in_plain(world: World) -> None:
    secret = await first_password(world)
    async with world.context.database.begin(read_only=True) as tx:
        row = (await tx.execute(select(Password))).scalar_one()
    assert row.password_hash.startswith("$argon2id$")
    assert secret.encode() not in row.code_secret_sealed
    assert PASSWORD not in row.password_hash


async def test_keyboards_that_write_a_letter_differently_write_the_same_password() -> None:
    stored = await passwords.hashed("caf\u00e9 unter sieben Monden")
    assert await passwords.is_right(stored, "cafe\u0301 unter sieben Monden")
    assert not await passwords.is_right(stored, "cafe unter sieben Monden")


async def test_a_password_is_not_cut_off() -> None:
    long = "correct horse " * 9
    stored = await passwords.hashed(long)
    assert await passwords.is_right(stored, long)
    assert not await passwords.is_right(stored, long[:-1])
    assert not await passwords.is_right(stored, long + "x" * passwords.LONGEST)


async def test_a_huge_password_is_refused_at_once() -> None:
    begun = time.perf_counter()
    assert passwords.why_not("x" * 1_000_000) is not None
    assert time.perf_counter() - begun < 0.5


async def test_too_many_at_once_are_told_to_come_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MOST_WAITING", 0)
    async with world.browser() as browser:
        answer = await type_in(browser, EMAIL, PASSWORD, "000000")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@given(st.integers(min_value=3600, max_value=2**40), st.integers(min_value=-3, max_value=3))
def test_a_code_is_good_for_its_half_minute_and_one_before_and_after(now: int, steps: int) -> None:
    secret = "JBSWY3DPEHPK3PXP" * 2
    code = pyotp.TOTP(secret).generate_otp(now // 30 + steps)
    found = passwords.step_of(secret, code, now)
    if abs(steps) <= 1:
        assert found is not None
    elif found is not None:
        assert pyotp.TOTP(secret).generate_otp(found) == code, "two half minutes with the same code"


@given(st.text(max_size=20))
def test_no_text_is_a_code_that_is_none(text: str) -> None:
    secret = "JBSWY3DPEHPK3PXP" * 2
    good = {pyotp.TOTP(secret).generate_otp(step) for step in (9, 10, 11)}
    assert (passwords.step_of(secret, text, 300) is not None) is ("".join(text.split()) in good)


async def test_only_members_have_passwords(world: World) -> None:
    for role in Role:
        if role is not Role.MEMBER:
            async with await world.sign_in(role) as browser:
                assert (await browser.post("/ways-in/password", data={"password": PASSWORD})).status_code == 403
