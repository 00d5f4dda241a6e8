"""What a member sees: the timeline, one incident with everything known about it, the masked original."""
