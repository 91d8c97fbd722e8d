"""A local Communication server with a made-up clinic, to try the mirror on."""
