"""Harmline: one timeline of identity-theft alerts for the people hit by a breach, kept as evidence of damages."""
