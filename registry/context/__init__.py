"""Context: documents of teams, domains and platform, read into chunks and searched under the reach of who asks."""
