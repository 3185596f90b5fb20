"""The local cluster that raytrain starts on this machine, and no other."""
