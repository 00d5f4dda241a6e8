"""Killed at any moment and at every named point, the service has every alert that it acknowledged, once (A1 to A4, A7, A8).

The campaign `crash` plays the same acts with bigger numbers. A failure names its seed; HARMLINE_TEST_SEED plays it again.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.crash.cluster import Cluster
from tests.crash.deliveries import Script
from tests.crash.episode import AT_RANDOM, EVERY_POINT, EVERY_WAY, ON_POSTGRESQL, ON_SQLITE, Plan, play
from tests.crash.failpoints import WEB, WORK
from tests.crash.system import Zygote

pytestmark = pytest.mark.slow
Store = tuple[str, Cluster | None]
SENDERS, PAUSE = 8, 0.1
"""Some eighty deliveries a second at most: enough for some to be under way at any moment."""


def plan(acts: tuple[object, ...]) -> Plan:
    seed = int(os.environ.get("HARMLINE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"seed {seed}")
    return Plan(seed, acts, Script(seed), SENDERS, pause=PAUSE)  # type: ignore[arg-type]


async def test_every_point_and_every_moment(store: Store, zygote: Zygote, tmp_path: Path) -> None:
    """Each point of `failpoints` on each database, with a kill at random before each: none is left out."""
    url, cluster = store
    outcome = await play(plan((*EVERY_POINT, AT_RANDOM, AT_RANDOM)), zygote, tmp_path, url, cluster)
    print(outcome)
    assert sum(outcome.kills.values()) >= 25
    assert outcome.found.acknowledged > 0
    assert {name.removeprefix("at ") for name in outcome.kills if name.startswith("at ")} == {*WEB, *WORK}


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_the_database_dies(store: Store, zygote: Zygote, tmp_path: Path) -> None:
    """A4: kill -9 of the postmaster, of all of PostgreSQL, and an immediate stop; senders get 503 or silence."""
    url, cluster = store
    outcome = await play(plan(EVERY_WAY), zygote, tmp_path, url, cluster)
    print(outcome)
    assert sum(outcome.kills.values()) == len(EVERY_WAY)
    assert set(outcome.statuses) <= {"202", "503", "None"}


async def test_bad_lines_a_stopped_process_a_wrong_clock_a_full_disk(store: Store, zygote: Zygote, tmp_path: Path) -> None:
    """A7, A8, C2: what does not kill, delays, deceives or fills."""
    url, cluster = store
    acts = ON_SQLITE if cluster is None else ON_POSTGRESQL
    outcome = await play(plan(acts), zygote, tmp_path, url, cluster)
    print(outcome)
    assert sum(outcome.faults.values()) >= len(acts)
    assert set(outcome.statuses) <= {"202", "408", "503", "None"}
    stops = sum(number for name, number in outcome.faults.items() if "stopped" in name and not name.startswith("worker"))
    assert outcome.statuses["408"] <= stops * SENDERS, "one for each body whose head had come when its process was stopped"
