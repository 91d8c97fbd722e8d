"""`python -m worker`: the same as `message-mirror`."""

from worker.cli.commands import main

if __name__ == "__main__":
    main()
