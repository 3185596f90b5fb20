"""What every test may rely on."""

import signal

# A shell that starts the tests in the background has them ignore SIGINT, and so would every command they start; the
# tests of Ctrl-C send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
