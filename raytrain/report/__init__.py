"""What people look at: a run as one page that can be kept, and its curves."""
