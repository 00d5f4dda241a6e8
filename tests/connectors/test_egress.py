"""Which addresses, spellings and paths the outgoing client takes: group J of the requirements, as tables."""

from __future__ import annotations

import posixpath
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.asking import NotAllowed, TryLater
from connectors.egress import Base, allowed_addresses, base_of, is_own, is_public, look_up
from tests.connectors.http_stage import asking, internet

PUBLIC = (
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1"),
    *("169.253.255.255", "169.255.0.1", "172.15.255.255", "172.32.0.1", "192.167.255.255", "192.169.0.1", "11.0.0.1"),
    *("198.17.255.255", "198.20.0.1", "223.255.255.254", "168.63.129.15", "192.0.1.1", "192.0.3.1", "203.0.112.255"),
    *("2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001::200e", "2400:cb00::1", "2001:200::1"),
)

NOT_PUBLIC = (
    # this network, this machine
    *("0.0.0.0", "0.0.0.1", "0.255.255.255", "127.0.0.1", "127.0.0.53", "127.1.2.3", "127.255.255.255"),
    # private
    *("10.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"),
    # carrier-grade NAT, link-local, metadata
    *("100.64.0.1", "100.100.100.200", "100.127.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2"),
    *("168.63.129.16", "192.0.0.192", "192.0.0.170", "192.0.0.9"),
    # documentation, benchmarks, relays, sinks
    *("192.0.2.1", "198.51.100.7", "203.0.113.255", "198.18.0.1", "198.19.255.255", "192.88.99.1", "192.31.196.1"),
    *("192.52.193.1", "192.175.48.1"),
    # multicast, reserved, broadcast
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "254.1.1.1", "255.255.255.255"),
    # IPv6: nothing, this machine, link-local, site-local, unique local, metadata, multicast
    *("::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "fc00::1", "fd00::1", "fd00:ec2::254", "ff02::1", "ff0e::1"),
    # IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe", "::127.0.0.1", "::8.8.8.8", "::ffff:0:10.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "2002:7f00:1::1", "2002:808:808::1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:a00:1"),
    # protocol assignments, documentation, discard, the former 6bone, what is not handed out
    *("2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff::1", "2001:db8::1", "3fff::1", "3ffe::1"),
    *("100::1", "5f00::1", "4000::1", "2620:4f:8000::1", "::2"),
    # no addresses as the system writes them
    *("", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", " 8.8.8.8", "8.8.8.8:443", "[2606:4700::1]"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_machine_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_the_table_is_long_enough() -> None:
    assert len(set(NOT_PUBLIC)) >= 60


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_nothing_else_is(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: object) -> None:
    spelled = str(address)
    assert not is_public(spelled) or (address.is_global and not address.is_multicast and not address.is_reserved)  # type: ignore[attr-defined]


async def test_one_address_inside_spoils_all() -> None:
    async def mixed(_: str) -> list[str]:
        return ["93.184.216.34", "10.0.0.1", "2606:4700::1"]

    with pytest.raises(NotAllowed):
        await allowed_addresses("api.example.com", mixed, 1)


async def test_no_address_is_for_later() -> None:
    async def nobody(_: str) -> list[str]:
        return []

    async def unknown(_: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "api.example.com")

    for resolver in (nobody, unknown):
        with pytest.raises(TryLater) as caught:
            await allowed_addresses("api.example.com", resolver, 1)
        assert "example" not in str(caught.value)
        assert caught.value.__context__ is None


def test_an_address_of_this_machine_is_known() -> None:
    assert is_own("127.0.0.1")
    assert is_own("::1") or not socket.has_ipv6
    assert not is_own("93.184.216.34")


async def test_our_own_public_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ours(_: str) -> list[str]:
        return ["93.184.216.34"]

    assert await allowed_addresses("api.example.com", ours, 1) == ["93.184.216.34"]
    monkeypatch.setattr(socket.socket, "connect", lambda *_: None, raising=False)
    monkeypatch.setattr(socket.socket, "getsockname", lambda _: ("93.184.216.34", 40000), raising=False)
    with pytest.raises(NotAllowed):
        await allowed_addresses("api.example.com", ours, 1)


async def test_the_systems_resolver_gives_every_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (one, 443)) for one in ("1.1.1.1", "::1", "1.1.1.1")]
    )
    assert await look_up("api.example.com") == ["1.1.1.1", "::1"]


# How an admin's address may be spelled


@pytest.mark.parametrize(
    ("base_url", "origin", "path"),
    [
        ("https://api.example.com", "https://api.example.com", ""),
        ("https://api.example.com/", "https://api.example.com", ""),
        ("https://api.example.com:443/api/v3/", "https://api.example.com", "/api/v3"),
        ("HTTPS://Api.Example.COM/Api", "https://api.example.com", "/Api"),
        ("https://xn--bcher-kva.example/~a/b_c.d-e", "https://xn--bcher-kva.example", "/~a/b_c.d-e"),
        ("https://0.a1.example.com", "https://0.a1.example.com", ""),
    ],
)
def test_a_plain_address_is_taken(base_url: str, origin: str, path: str) -> None:
    base = base_of(base_url)
    assert (base.origin, base.path, base.port, base.sandbox) == (origin, path, 443, False)


@pytest.mark.parametrize(
    "base_url",
    [
        *("", "api.example.com", "//api.example.com", "http://api.example.com", "ftp://api.example.com", "file:///etc/passwd"),
        *("https:/api.example.com", "https://", "https:///x", "https://api", "https://localhost", "https://api.example.com."),
        *(
            "https://api.example.com:80",
            "https://api.example.com:8443",
            "https://api.example.com:0443",
            "https://api.example.com:",
        ),
        *("https://u@api.example.com", "https://u:p@api.example.com", "https://@api.example.com"),
        *("https://api.example.com#x", "https://api.example.com/#x", "https://api.example.com?x=1", "https://api.example.com/?"),
        *(
            "https://api.example.com/../x",
            "https://api.example.com/a/./b",
            "https://api.example.com//b",
            "https://api.example.com/%2e",
        ),
        *("https://api.example.com\\@evil.example", "https://api.example.com%2eevil.example", "https://api_x.example.com"),
        *("https://-api.example.com", "https://api-.example.com", "https://api..example.com", "https://.example.com"),
        *("https://bücher.example", "https://api。example。com", "https://api.example.com\n", " https://api.example.com"),
        *(
            "https://api.example.com/\x00",
            "https://api.exam\tple.com",
            "https://api.example.com/a b",
            "https://api.example.com/ä",
        ),
        *(
            "https://metadata.google.internal",
            "https://router.lan",
            "https://printer.local",
            "https://x.localhost",
            "https://1.in-addr.arpa",
        ),
        *(
            "https://" + "a" * 64 + ".example",
            "https://" + "a." * 130 + "example",
            "http://127.0.0.1:8000",
            "http://localhost:8000",
        ),
    ],
)
def test_no_other_spelling_is(base_url: str) -> None:
    with pytest.raises(NotAllowed):
        base_of(base_url, {"http://127.0.0.1:8001"})


def test_a_sandbox_is_one_exact_origin() -> None:
    open_now = {"http://127.0.0.1:8001"}
    base = base_of("http://127.0.0.1:8001/v3", open_now)
    assert base == Base("http://127.0.0.1:8001", "127.0.0.1", 8001, "/v3", sandbox=True)
    for other in ("http://127.0.0.1:8002", "http://127.0.0.2:8001", "https://127.0.0.1:8001", "http://localhost:8001"):
        with pytest.raises(NotAllowed):
            base_of(other, open_now)


INSIDE = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1")
SPELLINGS = """
{0} {0}. {0}:443 {0}:80 {0}:022 {0}.example.com {0}.nip.io
{n} {n:#x} {n:#X} 0{n:o} {a}.{bcd} {a}.{b}.{cd} {a:#x}.{bcd} {a}.{bcd:#x} {a:03}.{b:03}.{c:03}.{d:03}
{a:#x}.{b:#x}.{c:#x}.{d:#x} {a:#X}.{b}.{c}.{d} 0{a:o}.0{b:o}.0{c:o}.0{d:o} 00000{a:o}.{b}.{c}.{d}
{a}。{b}。{c}。{d} {a}．{b}．{c}．{d} {a}｡{b}｡{c}｡{d} {a}%2e{b}%2e{c}%2e{d} {wide} {quoted}
[::ffff:{0}] [::ffff:{h}] [::{0}] [::ffff:0:{h}] [64:ff9b::{h}] [2002:{h}::1] [0:0:0:0:0:ffff:{0}] [{0}]
user@{0} u:p@{0} api.example.com@{0} api.example.com:443@{0} api.example.com\\@{0} api.example.com%40{0}
{0}#.example.com {0}?.example.com {0}\\.example.com {0}%00.example.com {0};.example.com {0}/..
"""
NAMES = """
[::1] [::] [0:0:0:0:0:0:0:1] [fe80::1%25eth0] [fd00:ec2::254] localhost LOCALHOST ｌocalhost localhost. ①②⑦.⓪.⓪.①
"""


def spellings() -> Iterator[str]:
    """Addresses inside, in every way that some program reads as an address."""
    for dotted in INSIDE:
        number = int(IPv4Address(dotted))
        a, b, c, d = IPv4Address(dotted).packed
        wide = "".join(chr(ord(letter) + 0xFEE0) if letter.isdigit() else letter for letter in dotted)
        quoted = "".join(f"%{ord(letter):02x}" for letter in dotted)
        known = {"n": number, "bcd": number & 0xFFFFFF, "cd": number & 0xFFFF, "h": f"{number >> 16:x}:{number & 0xFFFF:x}"}
        for spelling in SPELLINGS.split():
            yield spelling.format(dotted, a=a, b=b, c=c, d=d, wide=wide, quoted=quoted, **known)
        yield from (f" {dotted}", f"{dotted}\t", f"{dotted}\n", f"\x00{dotted}")
    yield from NAMES.split()


async def test_no_spelling_of_an_address_inside_leads_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the spelling itself is a name, as an address with a domain behind it: then its resolving is what counts."""
    hosts = set(spellings())
    assert len(hosts) >= 200
    async with internet(monkeypatch, lambda _: ["127.0.0.1"]) as net:
        for host in hosts:
            for scheme in ("https", "http"):
                with pytest.raises(NotAllowed):
                    async with asking(f"{scheme}://{host}/v1") as http:
                        await http.get("/x")
        assert net.looked_up > 0
        assert net.dialled == []
        assert net.inside == 0


# What may stand below the base

BASE = base_of("https://api.example.com/api/v3")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/alerts", "/api/v3/alerts"),
        ("alerts/", "/api/v3/alerts/"),
        ("", "/api/v3"),
        ("/", "/api/v3"),
        ("/a/person%40example.com", "/api/v3/a/person%40example.com"),
        ("/a/o%2Fbrien%2B1", "/api/v3/a/o%2Fbrien%2B1"),
        ("/a/..b/c..", "/api/v3/a/..b/c.."),
        ("/a/100%25", "/api/v3/a/100%25"),
        ("/range/ABCDE;v=1", "/api/v3/range/ABCDE;v=1"),
    ],
)
def test_a_path_is_joined_below_the_base(path: str, target: str) -> None:
    assert BASE.target(path) == target.encode()


@pytest.mark.parametrize(
    "path",
    [
        *("..", "/..", "/../x", "/a/../../x", "/a/..", "/.", "/a/./b", "/..;/x", "/..;a=b/x", "/%2e%2e/x", "/%2E./x", "/.%2e/x"),
        *(
            "//evil.example/x",
            "//",
            "/a//b",
            "https://evil.example/x",
            "/https://evil.example",
            "http:/%2fevil.example",
            "/%2f%2fevil.example",
        ),
        *(
            "/..%2fadmin",
            "/a%2f..%2f..%2fadmin",
            "/%252e%252e/x",
            "/%25252e%25252e%25252fx",
            "/a/%2e%2e%3bx/b",
            "/..%5cadmin",
            "/a\\..\\b",
        ),
        *(
            "/a\r\nHost: evil.example",
            "/a%0d%0aHost:x",
            "/a%00b",
            "/a%7f",
            "/a b",
            "/a\tb",
            "/ä",
            "/a?x=1",
            "/a#x",
            "/a%",
            "/a%2",
            "/a%zz",
        ),
        *("/" + "a" * 8000, "/a%5cb"),
    ],
)
def test_a_path_that_leaves_the_base_is_refused(path: str) -> None:
    for base in (BASE, base_of("https://api.example.com")):
        with pytest.raises(NotAllowed) as caught:
            base.target(path)
        assert "evil" not in str(caught.value)


def test_parameters_are_written_so_that_they_stay_parameters() -> None:
    assert BASE.target("/a", {"q": "x y&z=1#?/..", "é": "\ud800"}) == b"/api/v3/a?q=x%20y%26z%3D1%23%3F%2F..&%C3%A9=%3F"
    with pytest.raises(NotAllowed):
        BASE.target("/a", {"q": "x" * 8000})


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_whatever_a_name_holds_it_stays_below_the_base(names: list[str]) -> None:
    path = "/" + "/".join(quote(name, safe="", errors="replace") for name in names)
    try:
        target = BASE.target(path).decode()
    except NotAllowed:
        return
    assert target == f"/api/v3{path}" or path == "/"
    for _ in range(4):
        target = unquote(target, errors="replace").replace("\\", "/")
        assert posixpath.normpath(target).startswith("/api/v3")


@given(st.from_regex(r"\A[./%2eEfF;\\a]{0,12}\Z"))
def test_dots_and_slashes_in_any_dress_stay_below_the_base(path: str) -> None:
    try:
        target = BASE.target(path).decode()
    except NotAllowed:
        return
    for _ in range(6):
        bare = "/".join(segment.partition(";")[0] for segment in target.split("/"))
        assert posixpath.normpath(bare).startswith("/api/v3")
        target = unquote(target)
