"""Row ids are UUIDs of version 7 in every respect, whichever class they are of."""

from __future__ import annotations

import copy
import pickle
from uuid import RFC_4122, UUID, uuid4

import msgspec
from hypothesis import given
from hypothesis import strategies as some
from pydantic import TypeAdapter

from app.kit.ids import uuid7, written


def test_an_id_is_a_uuid_of_version_seven() -> None:
    made = uuid7()
    assert isinstance(made, UUID)
    assert (made.version, made.variant) == (7, RFC_4122)


def test_ids_sort_in_the_order_in_which_they_were_made() -> None:
    made = [uuid7() for _ in range(5000)]
    assert sorted(made) == made
    assert sorted(made, key=str) == made
    assert len(set(made)) == len(made)


def test_an_id_stands_for_the_same_as_one_that_was_read_from_text() -> None:
    made = uuid7()
    read = UUID(str(made))
    assert made == read
    assert read == made
    assert hash(made) == hash(read)
    assert {made: "here"}[read] == {read: "here"}[made] == "here"
    assert (made.int, made.bytes, made.hex, f"{made}") == (read.int, read.bytes, read.hex, f"{read}")
    assert sorted([made, uuid4(), read])


def test_an_id_is_copied_packed_and_written_as_any_other() -> None:
    made = uuid7()
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made
    assert msgspec.json.encode({"id": made}) == b'{"id":"%b"}' % str(made).encode()
    assert TypeAdapter(UUID).dump_python(TypeAdapter(UUID).validate_python(made), mode="json") == str(made)


@given(some.uuids())
def test_written_is_the_text_of_an_id(one: UUID) -> None:
    assert written(one) == str(one)
    made = uuid7()
    assert written(made) == str(made)
