"""The screens, one module each. A view calls queries and services and chooses a template."""
