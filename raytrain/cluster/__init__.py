"""What the client knows of a cluster: where it is, how to talk to it, what to send it, how to start one here."""
