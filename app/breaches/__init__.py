"""Breaches, their waves, who was exposed, and what each data element enables."""
