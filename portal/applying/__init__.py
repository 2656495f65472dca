"""The catalog as code: files that say what should be there, and the services that make it so."""
