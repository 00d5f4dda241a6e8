"""What a text tells of in anybody's words: a second opinion on what a rule decided, and what to suggest to a person.

Neither decides. A rule's answer that another telling contradicts goes to a person; a suggestion is shown beside the mail.
The keywords are those of the provider research (10.6), in its order, with Spanish ones of our own.
"""

from __future__ import annotations

import re

from connectors.mail.letter import Letter
from connectors.mail.patterns import compiled
from connectors.mail.wording import words
from connectors.vocabulary import AlertKind

_DONE = r"(?:was|were|has been|have been|has|have|is|been)(?: just| recently| also)?"
_HECHO = r"(?:se (?:ha|han)|ha sido|han sido|fue|fueron|ha|han|hemos)"
_GAP = r"(?: [^\n.]{1,40})?"
_OWED = r"(?:cuentas?|tarjetas?|pr[eé]stamos?|hipotecas?)"
_SEEN = r"(?:found|seen|spotted|located|exposed|discovered|detected|appeared|surfaced|leaked|compromised)"

_TELLS: tuple[tuple[str, str], ...] = (
    (
        "new_account",
        rf"\bnew (?:[\w'-]+ ){{0,4}}(?:accounts?|cards?|loans?|mortgages?|tradelines?|lines?)(?: in your name)? {_DONE} "
        r"(?:opened|added|reported|found|detected|established|created|originated)",
    ),
    (
        "new_account",
        r"\b(?:opened|originated|established) (?:a|an|one)(?: new)? (?:[\w'-]+ ){0,4}(?:account|card|loan|mortgage|line)\b",
    ),
    ("new_account", rf"\b{_HECHO} (?:abiert|abri|reportad|agregad|añadid|detectad)\w*[^\n.]{{0,40}}{_OWED}"),
    ("new_account", rf"\bnuev[oa]s? {_OWED}[^\n.]{{0,60}}{_HECHO} \w"),
    ("new_account", r"\b[1-9]\d? new (?:[\w-]+ )?(?:accounts?|cards?|loans?)\b|\bnew accounts?:? [1-9]"),
    ("inquiry", r"\b[1-9]\d? (?:new |hard )+inquir|\binquiries:? [1-9]"),
    ("inquiry", rf"\b(?:inquiry|inquiries){_GAP} {_DONE} (?:made|added|posted|reported|recorded|found|detected|placed)"),
    ("inquiry", r"\b(?:checked|pulled|accessed|ran|requested) (?:a copy of )?your (?:[\w'-]+ )?(?:credit|file)"),
    (
        "inquiry",
        r"\b(?:se (?:hizo|realiz[oó]|ha (?:hecho|realizado|registrado))|hubo|consult[oó]|solicit[oó])[^\n.]{0,30}"
        r"(?:consulta|su (?:historial|informe|reporte))",
    ),
    (
        "exposure",
        rf"\b{_SEEN} (?:for sale )?(?:on|in|by|at|from) (?:the|a|an)?(?: \w+)? ?"
        r"(?:dark web|deep web|breach|leak|data breach|hacker|paste|dump|underground)",
    ),
    (
        "exposure",
        rf"{_HECHO} (?:encontrad|expuest|filtrad|hallad|detectad)[^\n.]{{0,60}}(?:dark web|web oscura|filtraci[oó]n|brecha)",
    ),
    (
        "file_change",
        rf"\b(?:address|phone number|name|employer|employment)(?: change)?{_GAP} {_DONE} "
        r"(?:changed|added|reported|updated|filed|requested|detected)",
    ),
    (
        "file_change",
        rf"\b(?:direcci[oó]n|domicilio|nombre|empleador)[^\n.]{{0,30}} {_HECHO} (?:cambiad|agregad|añadid|reportad|actualizad)",
    ),
    ("ssn", rf"\b(?:ssn|social security number){_GAP} {_DONE} used"),
    (
        "court",
        r"\b(?:court record|criminal record|arrest|booking|bankruptcy|tax lien|judgment|public record)"
        rf"{_GAP} {_DONE} (?:filed|found|added|reported|detected|recorded)",
    ),
    (
        "consequence",
        rf"\b(?:collection|charge-off|derogatory (?:mark|item)|late payment){_GAP} {_DONE} (?:added|reported|posted|found|filed)",
    ),
    ("consequence", r"\b(?:placed|sent|turned over|referred)(?: \w+)? (?:for|to|in|into) (?:a )?collections?\b"),
    ("consequence", r"\breported (?:as )?(?:\d+ days )?(?:past due|late|delinquent|charged[ -]off|deceased)"),
    ("consequence", r"\b(?:enviad|remitid|entregad)[oa]s? a (?:una agencia de )?(?:cobranzas?|cobros?)"),
)
"""Family -> what states that something of it happened: with a verb that is done, or a count; no heading or footer does."""

_KEYWORDS: tuple[tuple[AlertKind | None, str], ...] = (
    (
        AlertKind.NEW_ACCOUNT_UNKNOWN,
        r"\bnew (?:credit )?(?:account|card)|account (?:was )?opened|new trade ?line|cuenta nueva|nueva (?:cuenta|tarjeta)",
    ),
    (AlertKind.NEW_ACCOUNT_PAYDAY_LOAN, r"\bpayday|short[- ]term loan|pr[eé]stamo de d[ií]a de pago"),
    (
        AlertKind.INQUIRY_HARD,
        r"\binquir(?:y|ies)\b|applied for credit|\bapplication\b|consulta (?:de cr[eé]dito|dura)|solicitud de cr[eé]dito",
    ),
    (
        AlertKind.EXPOSURE_SSN,
        r"\b(?:ssn|social security|seguro social)[^\n.]{0,60}(?:dark web|breach|exposed|leak|web oscura|filtra)",
    ),
    (
        AlertKind.EXPOSURE_BREACH_LISTING,
        r"\bdark web|found (?:on|in)\b|cyberscan|data breach|compromised|web oscura|filtraci[oó]n de datos",
    ),
    (
        AlertKind.FILE_CHANGE_ADDRESS,
        r"\bchange of address|address change|new address|cambio de (?:direcci[oó]n|domicilio)|nueva direcci[oó]n",
    ),
    (AlertKind.SSN_USE, r"\bssn\b|social security|seguro social"),
    (AlertKind.COURT_CRIMINAL, r"\bcriminal|\barrest|antecedentes penales|\barresto\b"),
    (AlertKind.COURT_PUBLIC_RECORD, r"\bcourt\b|public record|bankruptcy|\btribunal\b|registro p[uú]blico|bancarrota"),
    (AlertKind.CONSEQUENCE_COLLECTION, r"\bcollections?\b|cobranzas?\b"),
    (None, r"\bscores?\b|puntaje|puntuaci[oó]n"),
)


_DOUBTS: tuple[tuple[str, str], ...] = (
    (
        "it says that it is a test or a sample",
        r"\bthis is (?:only |just )?an? (?:test|sample|demo|example|drill)\b|\besta? es una prueba\b",
    ),
    (
        "it may take something back that was told before",
        r"\b(?:in error|by mistake|false alarm|correction|corrected|disregard (?:our|the|that)|"
        r"(?:earlier|previous|prior) (?:alert|message|e-?mail|notice)|we told you|"
        r"you told us|por error|correcci[oó]n|le (?:dijimos|informamos) que)\b",
    ),
    (
        "it may be about somebody else",
        r"\byour (?:child|son|daughter|spouse|husband|wife|partner|mother|father|parent|family member)'s\b|\ba nombre de su \w+",
    ),
    (
        "it may be about a case that somebody works on",
        r"\b(?:case|ticket|dispute|claim|caso|disputa) (?:update|number|id|n[oº]?|#|status|results?|\d)|"
        r"\byour (?:case|dispute|claim|ticket)\b|\bsu (?:caso|disputa|reclamo)\b|"
        r"\b(?:recovery|restoration) (?:advocate|specialist|agent)\b",
    ),
)
"""Why a mail that states something may yet not tell of anything new about its reader. What is only supposed is not read."""

_TEACHES = compiled(
    r"\b(?:guides?|explained|webinar|article|blog|learn|how (?:to|do|does|can)|why|\d+ (?:ways|tips|things|steps)|"
    r"what (?:is|are|does|happens)|gu[ií]a|art[ií]culo|c[oó]mo|por qu[eé]|qu[eé] (?:es|son|pasa))\b"
)
"""A subject of mail that explains something."""

_COLLECTED = re.compile(r"\bnew ((?:\w+ )?collection)", re.IGNORECASE)
"""A new collection account is an old debt."""
_TELLING = tuple((family, compiled(text)) for family, text in _TELLS)
_DOUBTED = tuple((reason, compiled(text)) for reason, text in _DOUBTS)
_WORDS_OF = tuple((kind, compiled(text)) for kind, text in _KEYWORDS)


def told(text: str) -> frozenset[str]:
    """Families of kinds of which a text states, with a verb, that something happened. It reads `said` or `denied` of `words`."""
    text = _COLLECTED.sub(r"\1", text)
    return frozenset(family for family, pattern in _TELLING if pattern.search(text))


def doubted(text: str) -> str | None:
    """Why what a text states may be nothing new about its reader, in plain words, or None. It reads `said` of `words`."""
    return next((reason for reason, pattern in _DOUBTED if pattern.search(text)), None)


def teaches(subject: str) -> bool:
    """Whether a mail's subject says that it explains, so that what its text states may have happened to nobody."""
    return _TEACHES.search(subject) is not None


def suggested(letter: Letter) -> AlertKind | None:
    """What to suggest to the person who classifies a mail: by keywords, of its subject before its text. Never a decision."""
    for text in (words(letter.subject), words(letter.text)):
        for kind, pattern in _WORDS_OF:
            if pattern.search(text.said):
                return kind
    return None
