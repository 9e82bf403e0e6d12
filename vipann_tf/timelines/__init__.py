"""A recording's timeline, as text or as a picture that one believes: PNG, or a page with sound."""
