"""One module for each kind of thing: what goes in, what comes out, and what can be done."""
