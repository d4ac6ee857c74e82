"""What docx, xlsx, xls and pdf files hold, read in a process of its own: `python -m core.extraction KIND PATH`.

A room apart from `core.readers` so that the process starts in an instant: it imports nothing but its one parser.
"""
