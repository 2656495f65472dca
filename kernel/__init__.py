"""The ground floor: errors, clock, canonical JSON, ids. No Django, at most 400 lines in all."""
