"""Configured connectors: who sends, with which secrets, to which unguessable address."""
