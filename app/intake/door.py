"""What the way in keeps in memory, one for each process: who may come in how often, and what was refused."""

from app.intake.limits import Admission
from app.intake.refusals import Refusals
from app.kit.limits import Limits


class Door:
    """Made once for an application, and handed to whoever takes deliveries in."""

    def __init__(self, limits: Limits) -> None:
        """Nobody has come yet."""
        self.admission = Admission(limits)
        self.refusals = Refusals()
