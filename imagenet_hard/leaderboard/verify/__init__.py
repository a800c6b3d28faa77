"""Whether an entry holds: its files, what is odd, whose it is, its model run again. It changes no entry."""
