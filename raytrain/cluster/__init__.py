"""A cluster seen from outside: where it is, how to talk to it, what it can hold, what is submitted to it."""
