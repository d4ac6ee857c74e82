"""What the desk tells its operators: a log without text of documents, and numbers."""
