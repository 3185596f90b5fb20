"""What a run is and leaves behind: id, status and paths; events, log and summary; lease, object store and mirror."""
