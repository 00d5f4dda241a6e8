"""Every table of the house, for migrations and tests: importing this module fills `Base.metadata`."""

from app.access import models as access
from app.breaches import models as breaches
from app.connections import models as connections
from app.damages import models as damages
from app.evidence import models as evidence
from app.incidents import models as incidents
from app.intake import models as intake
from app.kit import door_keys, escrow, keyring, letters, outbox
from app.kit.database import Base
from app.ledger import models as ledger
from app.linkage import models as linkage
from app.members import models as members
from app.notices import models as notices
from app.statistics import models as statistics
from app.timeline import models as timeline

ROOMS = (
    *(keyring, door_keys, escrow, outbox, letters, ledger, access, members, breaches, connections),
    *(intake, incidents, linkage, damages, timeline, notices, statistics, evidence),
)

metadata = Base.metadata
