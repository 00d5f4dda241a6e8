"""A rule made from one mail that a person has classified: a draft, to be looked at before it is saved."""

from __future__ import annotations

import re

import yaml

from connectors.mail.domains import is_owned
from connectors.mail.letter import Letter
from connectors.mail.rule_file import EVERYBODYS, Mark
from connectors.mail.wording import spelled
from connectors.vocabulary import AlertKind

FEWEST_WORDS = 2
"""Fixed words that a subject must have, one of them telling, so that a pattern can be made of it."""
LONGEST_SUBJECT = 300
LONGEST_NAME = 50

_TELLING = frozenset(
    {
        *(
            "account",
            "accounts",
            "address",
            "alert",
            "alerts",
            "arrest",
            "auto",
            "bank",
            "bankruptcy",
            "breach",
            "card",
            "collection",
        ),
        *(
            "collections",
            "court",
            "credit",
            "criminal",
            "dark",
            "data",
            "debt",
            "delinquent",
            "email",
            "employer",
            "exposed",
            "exposure",
        ),
        *(
            "file",
            "freeze",
            "identity",
            "inquiries",
            "inquiry",
            "leak",
            "lien",
            "loan",
            "mortgage",
            "number",
            "password",
            "phone",
        ),
        *(
            "credentials",
            "record",
            "report",
            "score",
            "security",
            "social",
            "ssn",
            "statement",
            "tax",
            "title",
            "transfer",
            "wireless",
        ),
        *("alerta", "alertas", "banco", "brecha", "cobranza", "consulta", "contraseña", "correo", "crédito", "credito", "cuenta"),
        *(
            "cuentas",
            "datos",
            "deuda",
            "dirección",
            "direccion",
            "domicilio",
            "filtración",
            "hipoteca",
            "identidad",
            "informe",
            "web",
        ),
        *("nombre", "número", "préstamo", "prestamo", "registro", "seguro", "solicitud", "tarjeta", "teléfono"),
    }
)
_PLAIN = frozenset(
    {
        *(
            "a",
            "activity",
            "added",
            "an",
            "and",
            "at",
            "been",
            "by",
            "change",
            "changed",
            "changes",
            "detected",
            "for",
            "found",
            "from",
        ),
        *(
            "has",
            "have",
            "history",
            "important",
            "in",
            "information",
            "is",
            "just",
            "monitoring",
            "new",
            "notice",
            "notification",
            "of",
        ),
        *(
            "on",
            "opened",
            "or",
            "reported",
            "review",
            "someone",
            "suspicious",
            "the",
            "this",
            "to",
            "update",
            "urgent",
            "used",
            "using",
        ),
        *(
            "was",
            "we",
            "web",
            "were",
            "with",
            "you",
            "your",
            "past",
            "due",
            "late",
            "payment",
            "public",
            "mobile",
            "student",
            "personal",
        ),
        *(
            "a",
            "abierta",
            "abierto",
            "abrió",
            "actividad",
            "aviso",
            "cambio",
            "con",
            "de",
            "del",
            "detectada",
            "detectado",
            "detectamos",
        ),
        *(
            "el",
            "en",
            "encontramos",
            "es",
            "fue",
            "ha",
            "importante",
            "información",
            "la",
            "las",
            "los",
            "nueva",
            "nuevo",
            "oscura",
        ),
        *("por", "se", "sido", "su", "sus", "una", "un", "uso", "y"),
    }
)
_FIXED = _TELLING | _PLAIN
_TOKEN = re.compile(r"([^\w]*)(.*?)([.,:;!?]*)", re.DOTALL)
_GAP = r"[^\n]+"
_HEADER = (
    "# A draft, made from one mail that a person classified. Look at it before you save it: do the fixed words tell this kind,\n"
    "# and only this? It asks the member for the details; name them under `yields`, or add patterns of `body`, to read them.\n"
)
_TOO_FEW = "# The subject has too few words of its own to make a pattern of: write one under `subject`.\n"


def proposed(letter: Letter, kind: AlertKind) -> str:
    """A rule file (YAML) for mails like this one: its sender's domain, and the fixed words of its subject.

    Only words of a list of ours stand in it; names, numbers, amounts and every other word are gaps. A subject that no pattern can
    be made of is left empty, which is refused until a person fills it in; so is a domain where anybody may have an address, and
    without a domain a rule matches nothing.
    """
    domain = letter.domain.lower().rstrip(".")
    known = is_owned(domain) and domain not in EVERYBODYS
    pattern = _pattern(letter.subject)
    document = {
        "title": domain if known else "A sender to be named",
        "note": "Made from one mail that a person classified.",
        "domains": [
            {"domain": domain, "carries": "alerts", "mark": Mark.READ.value, "source": "From of a mail that a person classified"}
        ]
        if known
        else [],
        "alerts": [{"kind": kind.value, "subject": [pattern] if pattern else [], "details_requested": True}],
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return _HEADER + ("" if pattern else _TOO_FEW) + text


def rule_name(letter: Letter) -> str:
    """What to call such a rule: its sender's domain, as far as that can be a name."""
    return re.sub(r"[^a-z0-9.-]", "", letter.domain.lower())[:LONGEST_NAME].strip(".-") or "sender"


def _pattern(subject: str) -> str | None:
    """The fixed words of a subject in their order, with gaps for the others; None when they are too few to tell anything."""
    parts: list[str] = []
    kept: list[str] = []
    for token in spelled(subject[:LONGEST_SUBJECT]).split():
        before, word, after = _TOKEN.fullmatch(token).groups()  # type: ignore[union-attr]  # it fits every text
        if word.lower() in _FIXED:
            kept.append(word.lower())
            parts.append((r"[^\w\n]*" if before else "") + word.lower() + re.escape(after))
        elif parts[-1:] != [_GAP]:
            parts.append(_GAP)
    if len(kept) < FEWEST_WORDS or not _TELLING.intersection(kept):
        return None
    return f"^{' '.join(parts)}$"
