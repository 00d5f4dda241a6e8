"""Pages: templates, static files, and the routes that show what the rooms above answer."""
