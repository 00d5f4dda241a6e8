"""Who is told of what, once: members of something new, admins of what stands in the way."""
