"""The command line: what is typed, what is shown, how the process ends."""
