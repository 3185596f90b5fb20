"""A run's event log: the types of its lines, the file they stand in, and what they add up to."""
