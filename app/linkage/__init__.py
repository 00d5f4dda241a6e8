"""Links between incidents and breaches, each with the facts for and against."""
