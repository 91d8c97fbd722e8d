"""The long-running side: the scheduler."""
