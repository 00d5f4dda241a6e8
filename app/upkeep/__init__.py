"""Keeping an installation well: backups and restores, what must stay erased, terms, and whether its settings are safe."""
