"""Who may do what: accounts and roles, sign-in, sessions, tokens, and the one policy table."""
