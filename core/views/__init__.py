"""What was found, arranged and drawn as HTML and SVG for screens and reports: pure, everything of the user's escaped."""
