"""How much of a body is read, on the wire and unpacked, and that a bomb never fills the memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.answers import MOST_INFLATED, MOST_ON_THE_WIRE, Body
from connectors.asking import UnexpectedAnswer
from connectors.sandboxing import bomb


def fed(body: Body, data: bytes, step: int = 65536) -> bytes:
    for start in range(0, len(data), step):
        body.feed(data[start : start + step])
    return body.whole()


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=5), st.integers(1, 500), st.integers(0, 9))
def test_any_members_in_any_pieces_unpack_to_what_was_packed(parts: list[bytes], step: int, level: int) -> None:
    packed = b"".join(gzip.compress(part, level) for part in parts)
    assert fed(Body(["gzip"]), packed, step) == b"".join(parts)
    assert fed(Body([]), packed, step) == packed


@pytest.mark.parametrize("length", [step + beyond for step in (262_144, 524_288) for beyond in (-259, -1, 0, 1, 258, 65_537)])
@pytest.mark.parametrize("step", [7, 65536])
def test_a_body_that_unpacks_in_several_goes_is_whole(length: int, step: int) -> None:
    assert fed(Body(["gzip"]), gzip.compress(bytes(length)), step) == bytes(length)


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_a_packed_body_with_its_end_missing_is_no_body(content: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(content)
    shorter = packed[: data.draw(st.integers(1, len(packed) - 1))]
    with pytest.raises(UnexpectedAnswer):
        fed(Body(["gzip"]), shorter)


@given(st.integers(0, 3000), st.integers(1, 700))
def test_the_limits_hold_to_the_byte(length: int, step: int) -> None:
    for body, limit in ((Body([], wire=1000), 1000), (Body([], inflated=1200), 1200)):
        if length <= limit:
            assert fed(body, b"x" * length, step) == b"x" * length
        else:
            with pytest.raises(UnexpectedAnswer):
                fed(body, b"x" * length, step)
    packed = gzip.compress(b"x" * length)
    if length <= 1200:
        assert len(fed(Body(["gzip"], inflated=1200), packed, step)) == length
    else:
        with pytest.raises(UnexpectedAnswer):
            fed(Body(["gzip"], inflated=1200), packed, step)


def zeros(gibibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    piece = packer.compress(bytes(1024)) + packer.flush(zlib.Z_FULL_FLUSH)
    full = packer.compress(bytes(1024 * 1024)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece + full * (1024 * gibibytes)


@pytest.mark.parametrize("bomb", [bomb(), zeros(1), bomb() * 10], ids=["64 MiB", "1 GiB", "ten members"])
def test_a_bomb_never_fills_the_memory(bomb: bytes) -> None:
    assert len(bomb) <= MOST_ON_THE_WIRE
    tracemalloc.start()
    try:
        with pytest.raises(UnexpectedAnswer):
            fed(Body(["gzip"]), bomb)
        assert MOST_INFLATED < tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_bomb_in_a_bomb_stays_packed() -> None:
    assert fed(Body(["gzip"]), gzip.compress(bomb())) == bomb()
