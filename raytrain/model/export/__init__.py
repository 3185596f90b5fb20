"""A trained model written for other runtimes, its preprocessing inside, and proven there before it counts.

Runs in: a child process of the client.
"""
