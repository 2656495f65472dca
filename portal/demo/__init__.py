"""The demo estate: an invented group of companies with two real internal applications, to try everything on."""
