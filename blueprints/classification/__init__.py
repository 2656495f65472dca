"""What a repository is fit for, measured from a git checkout and never typed in.

Files are read as data; nothing of a repository is executed here. `survey.classify` returns the pattern, the level, every
signal with its facts, and what is missing. Files alone never give dark-factory: the executed signals come from outside.
"""
