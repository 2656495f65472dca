"""The validation harness: what each tier demands, and the one harness that a team's work has to pass."""
