"""Alerts matched, gathered into incidents, and answered by the member."""
