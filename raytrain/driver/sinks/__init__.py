"""Where the recorder tells each event, a sink a file."""
