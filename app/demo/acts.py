"""What people do besides the services: answers, losses, consents, letters, what they find when they log in; and the editions."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from app.access.roles import Role
from app.breaches import service as breaches
from app.damages.schemas import NewLoss, NewReimbursement
from app.damages.service import enter_loss
from app.demo.cast import StageError, Tenant
from app.demo.enrollment import Service
from app.demo.expected import Told
from app.demo.forwarded import report_after
from app.demo.reading import Found, found_incidents, holding
from app.demo.truth import CURRENCY, END, FOCAL_BREACH, KNOWN, Agreement, Cost, Letter, Said, TrueIncident, Truth
from app.incidents import reporting
from app.incidents.endpoints import answer_consent, answer_incident
from app.incidents.schemas import NewVerdict
from app.kit.context import Context
from app.kit.database import Transaction
from app.members.schemas import ConsentAnswer
from app.statistics.workers import publish_release

RELEASES = tuple(
    datetime(year, month, 3, 9, tzinfo=UTC) for year, month in ((2023, 4), (2023, 7), (2023, 10), (2024, 1), (2024, 4))
)
"""Moments of the quarterly editions; the last one is made at the end."""

Act = Callable[[Transaction], Awaitable[object]]


class People:
    """What the people of the scenario do, each thing at its moment."""

    def __init__(self, context: Context, truth: Truth, told: Told, union: Tenant, neighbour: Tenant) -> None:
        """`told`: by which alerts each true incident is found."""
        self._context, self._truth, self._told = context, truth, told
        self._union, self._neighbour = union, neighbour

    def acts(self) -> Sequence[tuple[datetime, Act]]:
        """Everything that they do, with its moment."""
        acts: list[tuple[datetime, Act]] = [(KNOWN, self._write_down_breaches)]
        for incident in self._truth.incidents:
            if incident.looked is not None:
                acts.append((incident.looked, self._report(incident)))
            acts += [(said.at, self._answer(incident, said)) for said in incident.said]
            acts += [(cost.at, self._enter(incident, cost)) for cost in incident.costs]
        acts += [(letter.at, self._letter(letter)) for letter in self._truth.letters]
        for member, consent in self._truth.consents.items():
            if consent.at is not None:
                acts.append((consent.at, self._consent(member, consent.agreement is Agreement.LATE)))
        return acts + [(at, self._release) for at in (*RELEASES, END)]

    async def _write_down_breaches(self, tx: Transaction) -> None:
        for tenant in (self._union, self._neighbour):
            await breaches.load_catalogue(tx, self._context.keyring, tenant.id, "oakland")
            counsel = tenant.accounts[Role.COUNSEL]
            await breaches.open_matter(tx, self._context.keyring, tenant.id, FOCAL_BREACH, "The 2023 breach", counsel)

    async def _release(self, tx: Transaction) -> None:
        await publish_release(tx, self._context, self._union.id)

    def _letter(self, letter: Letter) -> Act:
        async def act(tx: Transaction) -> None:
            member_id = self._union.members[letter.member]
            where = (letter.breach, letter.wave, letter.basis, letter.elements)
            await breaches.record_evidence(tx, self._context.keyring, self._union.id, member_id, *where)

        return act

    def _consent(self, member: str, given: bool) -> Act:
        async def act(tx: Transaction) -> None:
            connection = self._union.connections[Service.WATCH].connection
            answer = ConsentAnswer(connection_id=connection.id, given=given)
            await answer_consent(tx, self._context, self._union.member(member), answer)

        return act

    def _answer(self, incident: TrueIncident, said: Said) -> Act:
        async def act(tx: Transaction) -> None:
            found = await self._find(tx, incident)
            answer = NewVerdict(answer=said.answer, shown=sorted(found.alerts.values()))
            await answer_incident(tx, self._context, self._union.member(incident.member), found.row.id, answer)

        return act

    def _report(self, incident: TrueIncident) -> Act:
        async def act(tx: Transaction) -> None:
            found = await self._find(tx, incident)
            (hint,) = found.alerts.values()
            report = reporting.report_of({**report_after(incident), "completes": str(hint)})
            await reporting.take(tx, self._context.keyring, self._union.member(incident.member), report, None)

        return act

    def _enter(self, incident: TrueIncident, cost: Cost) -> Act:
        async def act(tx: Transaction) -> None:
            found = await self._find(tx, incident)
            back = [NewReimbursement(payer=b.payer, amount=str(b.amount)) for b in cost.back]
            loss = NewLoss(
                head=cost.head,
                amount=str(cost.amount),
                currency=CURRENCY,
                incurred_on=cost.incurred_on,
                note="Entered by an invented member.",
                reimbursements=back,
            )
            await enter_loss(tx, self._context.keyring, self._union.member(incident.member), found.row.id, loss)

        return act

    async def _find(self, tx: Transaction, incident: TrueIncident) -> Found:
        """The incident as its member finds it on their timeline. Raises StageError when it is not there."""
        member_id = self._union.members[incident.member]
        everything = await found_incidents(tx, self._context, self._union, member_id)
        found = holding(everything, self._told.incidents[incident.key])
        if found is None:
            raise StageError(f"{incident.key} is not on its member's timeline")
        return found
