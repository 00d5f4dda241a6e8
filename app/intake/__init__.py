"""The inbox: receive, keep, then split and normalise what was kept; set aside what cannot be read; replay."""
