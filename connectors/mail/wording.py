"""A mail's words as rules read them: one spelling of spaces, quotes and dashes; and what is said apart from what is denied.

A sentence that denies ("no new accounts were found"), greets ("you opened a new account with us") or only supposes
("if a new card is opened in your name") must not count as its own contrary. Whatever is unsure here is left out of what is said,
which can only send a mail to a person.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_TEXT = 100_000
"""Characters of one mail that a rule reads; a longer one is for a person."""
SHORT_LINE = 45
"""A line shorter than this was ended by its writer; a longer one may have been broken by a program, in mid-sentence."""
MOST_MARKS = 3
"""Combining marks on one letter that are kept: a heap takes a normaliser time that grows with the square of its height."""

_SPELLINGS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u02bc\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u00ad\u034f\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"),
        **dict.fromkeys("\r\u0085\u2028\u2029\x0b\x0c", "\n"),
        "\x00": " ",
    }
)
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?![a-z\u00df-\u00ff])")
_NOTHING = re.compile(r"(?:0|no|none|nothing|zero|no changes?|ningun[oa]|nada|cero|sin cambios)[.!]?", re.IGNORECASE)
_DENIALS = (
    r"none|not|never|nothing|neither|nor|without|cannot|zero|unable|\w+n't|removed|deleted|dismissed|resolved|closed",
    r"no(?!\.? ?(?:de cuenta|[#*x•\d]))(?!:)|0 (?:new|hard|recent|alerts?|changes?)",
    r"ni|ning[uú]n(?:[oa]s?)?|nunca|jam[aá]s|nada|tampoco|sin|cero|eliminad[oa]s?|cerrad[oa]s?|resuelt[oa]s?",
    r"0 (?:nuev\w+|alertas?|cambios?)",
)
_HARMLESS = (
    r"soft (?:inquir\w+|pulls?|checks?)|promotional inquir\w+|your new|welcome|congratulations|enjoy|thank(?:s| you) for",
    r"you(?: have|'ve)?(?: successfully| just| recently)? (?:opened|applied|requested|added|created|enrolled)",
    r"(?:by|from) you|you (?:answered|replied|confirmed|verified|said|told|marked|chose)|last year|years? ago|previously|already",
    r"in (?!your\b)[\w']+(?: [\w']+){0,2} name|usted (?:contest|confirm|dijo|indic)\w+|el año pasado|hace \w+ años",
    r"consultas? (?:suaves?|blandas?)|su nuev[oa]|bienvenid[oa]s?|felicidades|felicitaciones|gracias por",
)
_SUPPOSITIONS = (
    r"if|when|whenever|unless|whether|may(?! \d)|might|could|can|would|should|will|in case|for example|such as|sample",
    r"after|once|until|what to do|what happens|guides?|articles?|blog|webinars?|stor(?:y|ies)|explained|every \d+",
    r"learn|how to|tips?|offers?|pre-?(?:approved|selected|qualified)|apply now",
    r"we (?:monitor|watch|scan|look|check|track|protect|help)|(?:notif(?:y|ies)|alerts?|tells?|lets?) you (?!that|of|about)",
    r"si|cuando|siempre que|en caso de|puede|pueden|podr[ií]an?|pudiera|hayan?|por ejemplo|aprenda|c[oó]mo",
    r"despu[eé]s|hasta que|qu[eé] hacer|gu[ií]as?|art[ií]culos?|cada \d+",
    r"ofertas?|preaprobad[oa]s?|(?:vigil|monitore|supervis|busc|revis)amos|(?:le|te) avisa(?:re)?mos",
)
_OTHERS = re.compile(
    r"\b(?:victims?|someone|somebody|anyone|people|persons?|consumers|customers|members|thie(?:f|ves)|criminals|scammers|"
    r"fraudsters|hackers|friends?|neighbors?|americans|famil(?:y|ies)|million|v[ií]ctimas?|alguien|personas?|clientes|consumidores|"
    r"delincuentes|ladr[oó]n(?:es)?|millones)\b",
    re.IGNORECASE,
)
_YOURS = re.compile(r"\b(?:your?|yours|sus?|usted|tus?|le)\b", re.IGNORECASE)
_DENIES = re.compile(rf"\b(?:{'|'.join((*_DENIALS, *_HARMLESS))})\b", re.IGNORECASE)
_SUPPOSES = re.compile(rf"\b(?:{'|'.join(_SUPPOSITIONS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Words:
    """One text, three times. `whole`: as it is. `said`: what it states. `denied`: the sentences that deny, line by line."""

    whole: str
    said: str
    denied: str


def words(text: str) -> Words:
    """Read one text. Never raises; takes time in proportion to the text, of which `LONGEST_TEXT` characters are read."""
    whole = spelled(text)
    said, denied = [], []
    for line in _joined(whole.split("\n")):
        stated = [_stated(sentence) for sentence in _SENTENCE_END.split(line)]
        said.append(" ".join(part for part, denies in stated if part and not denies))
        denied += [part for part, denies in stated if denies]
    return Words(whole, "\n".join(said), "\n".join(denied))


def spelled(text: str) -> str:
    """One spelling: single spaces, straight quotes, plain dashes, composed letters, nothing invisible; lines stay lines."""
    storable = text[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
    composed = unicodedata.normalize("NFC", _few_marks(storable.translate(_SPELLINGS)))
    return "\n".join(" ".join(line.split()) for line in composed.split("\n")).strip()


def _few_marks(text: str) -> str:
    kept, height = [], 0
    for letter in text:
        height = height + 1 if not letter.isascii() and unicodedata.combining(letter) else 0
        if height <= MOST_MARKS:
            kept.append(letter)
    return "".join(kept)


def _joined(lines: list[str]) -> Iterator[str]:
    """Lines as their writer meant them: one that a program broke is whole again, and a table's "none" stands by its heading."""
    whole, last = "", ""
    for line in lines:
        if whole and line and _goes_on(last, line):
            whole += f" {line}"
        else:
            yield whole
            whole = line
        last = line
    yield whole


def _goes_on(last: str, line: str) -> bool:
    if _NOTHING.fullmatch(line):
        return True
    return bool(last) and last[-1] not in ".!?:" and (line[0].islower() or len(last) >= SHORT_LINE)


def _stated(sentence: str) -> tuple[str, bool]:
    """The part of a sentence that stands before any supposition, "" of a question; and whether it denies.

    A denial that stands behind a supposition takes the whole sentence away: what it belongs to cannot be told.
    """
    if sentence.endswith("?"):
        return "", False
    supposed = _SUPPOSES.search(sentence)
    part = (sentence[: supposed.start()] if supposed else sentence).strip()
    if _DENIES.search(part):
        return part, True
    if _OTHERS.search(part) and not _YOURS.search(part):
        return "", False
    return ("" if supposed and _DENIES.search(sentence) else part), False
