"""The portal's visual parts, drawn on the server: every one is shown on the style guide page."""
