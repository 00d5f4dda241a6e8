"""Wire formats: one folder a provider, and the few modules they share. Knows nothing of app/."""
