"""Hudson Rock Cavalier: on which infected devices malware took a login of a member's."""

from connectors.hudsonrock.connector import HudsonRock

connector = HudsonRock

__all__ = ["connector"]
