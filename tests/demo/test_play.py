"""The scenario, small on PostgreSQL and whole on SQLite, over real HTTP: it agrees with its truth, and with no other."""

import asyncio
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import pytest
import uvloop

from app.demo.check import check
from app.demo.enrollment import BY_HAND, Service
from app.demo.forwarded import Mailed
from app.demo.play import Played, Script, played, write_script
from app.demo.programme import Telling
from app.demo.truth import END, Agreement, Consent, Heard, Phase
from app.kit import clock, crypto
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.database import Database
from app.kit.keyring import Keyring
from app.kit.mail import Mailer
from connectors.contract import Sender
from connectors.sandboxing import Manner
from connectors.vocabulary import AlertKind
from tests.repo.tree import ROOT

SIZE = 60


@asynccontextmanager
async def small(database_url: str) -> AsyncIterator[Played]:
    settings = Settings(database_url=database_url, _env_file=None)
    context = Context(settings, Database(database_url), Keyring(crypto.new_key()), Mailer(None, settings.mail_from))
    try:
        async with played(context, write_script(size=SIZE)) as made:
            yield made
    finally:
        await context.database.close()


def tampered(script: Script) -> Script:
    """The script with one lie of each sort in it, each about another incident."""
    truth = script.truth
    (hint,) = (i for i in truth.heard(Heard.HINT) if i.member == truth.star)
    mail = next(one for one in script.programme if isinstance(one, Mailed) and one.is_proven and one.incident)
    star = [i for i in truth.incidents if i.member == truth.star]
    before = next(i for i in star if i.phase is Phase.BEFORE_THEFT)
    between = next(i for i in star if i.phase is Phase.BETWEEN)
    costly = next(i for i in star if i.phase is Phase.WAVE_TWO_EARLY)
    first, second = (i for i in star if i.kind is AlertKind.NEW_ACCOUNT_CREDIT_CARD)
    car = next(i for i in star if i.kind is AlertKind.NEW_ACCOUNT_AUTO)
    lies = {
        before.key: replace(before, phase=Phase.LATER),
        between.key: replace(between, said=()),
        costly.key: replace(costly, costs=(replace(costly.costs[0], amount=costly.costs[0].amount + 1),)),
        first.key: replace(first, phase=Phase.BEFORE_THEFT),
        second.key: replace(second, phase=Phase.BETWEEN),
        hint.key: replace(hint, looked=END),
        car.key: replace(car, kind=AlertKind.NEW_ACCOUNT_BANK),
    }
    others = {i.member: i for i in truth.readable() if i.member != truth.star and i.member not in truth.consents}
    hushed, outsider, joined, into = list(others.values())[:4]
    letters = tuple(letter for letter in truth.letters if letter.member != outsider.member)
    told = dict(script.told.incidents)
    told[into.key], told[joined.key] = told[into.key] | told[joined.key], set()
    services = dict(script.told.services)
    services[Service.WATCH] = replace(
        services[Service.WATCH], repeats=services[Service.WATCH].repeats + 1, deliveries=services[Service.WATCH].deliveries + 1
    )
    asked = services[Service.BUREAUS]
    services[Service.BUREAUS] = replace(asked, look_ups=asked.look_ups + Counter(unknown=1))
    listed = next(one for one in script.programme if isinstance(one, Telling) and one.service is Service.LISTINGS)
    return replace(
        script,
        programme=tuple(replace(one, signed=False) if one is mail else one for one in script.programme if one is not listed),
        people=tuple(replace(p, jobs=()) if p.external_id == outsider.member else p for p in script.people),
        truth=replace(
            truth,
            incidents=tuple(lies.get(i.key, i) for i in truth.incidents),
            letters=letters,
            consents={**truth.consents, hushed.member: Consent(Agreement.NEVER)},
        ),
        told=replace(script.told, services=services, incidents=told, set_aside=script.told.set_aside + 1),
    )


NOTICED = (
    "is excluded by time",
    "is not excluded by time",
    "and not yet published",
    "has the answer",
    "has losses",
    "is called",
    "is not one incident",
    "is one incident and should not be",
    "has not agreed",
    "exposure should be unproven",
    "repeats should be",
    "the plan says otherwise",
    "who never answers, sees",
    "Accounts of the union, Three Bureaus (invented): look_ups should be",
    "should not say that Invented Parcel Portal is another breach",
    "alerts with a new word were set aside",
    "notices of Three Bureaus",
    "was asked 5 times when it was to be left alone",
    "was down and in the end its connection was unreachable, ok, ok",
    "Edition 1: ",
    "is graded third_party and should be unverifiable",
    "is asked for details, which is wrong",
)
"""What each lie must lead to."""


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)  # the whole scenario below is played on SQLite
def test_a_small_scenario_agrees_with_its_truth_and_with_no_other(database_url: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(agrees_with_its_truth_and_with_no_other(database_url))


async def agrees_with_its_truth_and_with_no_other(database_url: str) -> None:
    before = datetime.now(END.tzinfo)
    async with small(database_url) as made:
        assert clock.now() == END
        result = await check(made, least_cells=0)
        assert result.differences == ()
        assert result.books.close
        assert set(result.books.connections) == set(Service) - {Service.ELSEWHERE}
        assert result.books.total == made.script.told.accounts()
        assert (result.precision, result.recall) == (1, 1)
        assert min(result.several) > 0, "one fraud is told of by several services"
        made.diary.knocks[Service.BUREAUS, Manner.HONEST, 503] += 1
        made.diary.outage.append((5, True))
        assert made.diary.down == ["unreachable", "ok"]
        made.diary.down.append("ok")
        lied = "\n".join((await check(replace(made, script=tampered(made.script)), least_cells=0)).differences)
        assert [text for text in NOTICED if text not in lied] == []
    assert clock.now() >= before, "the wall clock is back"


def test_the_front_page_counts_the_services_as_they_are() -> None:
    told = re.search(r"come from (\w+) services at once and from the union's own desk", (ROOT / "README.md").read_text())
    others = {Service.ELSEWHERE, *BY_HAND}
    providers = [one for one in Service if one.stands_behind is Sender.PROVIDER and one not in others]
    assert told
    assert ("no", "one", "two", "three", "four", "five", "six").index(told[1]) == len(providers)


@pytest.mark.slow
def test_the_whole_scenario_agrees_with_its_truth() -> None:
    command = [sys.executable, "-m", "app.demo.run", "--once"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The accounts close: yes, of each connection and in all." in done.stdout
    assert "Everything is as the truth of the scenario has it." in done.stdout
    assert "714" in done.stdout
