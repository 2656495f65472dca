"""One module for each format: bytes or text in, sections out. No Django, no network."""
