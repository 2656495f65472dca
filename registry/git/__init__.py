"""Git repositories of others, taken in as data: every byte is bounded, nothing of them runs, nothing leads elsewhere."""
