"""What was found, arranged and drawn as HTML and SVG for screens and reports. Pure; all that users wrote is escaped."""
