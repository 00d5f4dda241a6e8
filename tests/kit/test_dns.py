"""TXT records, asked for over real UDP."""

from __future__ import annotations

import pytest

from app.kit import dns
from tests.support.dns import name_server

KEY = "k1._domainkey.monitor.example"


async def test_what_is_there_is_told_and_what_is_not_is_left_out() -> None:
    async with name_server() as names:
        names.records = {KEY: ["v=DKIM1; k=rsa; ", "p=abc"], "empty.example": []}
        found = await dns.txt(dns.resolver(names.server), [KEY, KEY, "never.heard.of.example", "empty.example"])
    assert found == {KEY: "v=DKIM1; k=rsa; p=abc"}, "the strings of one record are joined"


async def test_no_answer_is_not_taken_for_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "IN_TIME", 0.3)
    async with name_server() as names:
        names.records = {KEY: ["p=abc"]}
        for failing in ("broken", "mute"):
            setattr(names, failing, True)
            with pytest.raises(dns.NoAnswer):
                await dns.txt(dns.resolver(names.server), [KEY])
            setattr(names, failing, False)
    with pytest.raises(dns.NoAnswer):
        await dns.txt(dns.resolver(names.server), [KEY])


@pytest.mark.parametrize(
    ("servers", "where"),
    [
        ("9.9.9.9", {"9.9.9.9": 53}),
        ("127.0.0.1:5353, 9.9.9.9", {"127.0.0.1": 5353, "9.9.9.9": 53}),
        ("2620:fe::fe", {"2620:fe::fe": 53}),
    ],
)
def test_servers_are_named_with_their_port_or_without(servers: str, where: dict[str, int]) -> None:
    found = dns.resolver(servers)
    assert found.nameserver_ports == where
    assert list(found.nameservers) == list(where)
