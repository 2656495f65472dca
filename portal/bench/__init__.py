"""Every figure that we claim, measured again on the machine at hand: `./manage.py bench NAME`."""
