"""The append-only log that proves what was received and done, and when."""
