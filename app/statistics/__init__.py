"""Releases for staff: fixed cubes of distinct members, cut and hidden so that nobody is given away."""
