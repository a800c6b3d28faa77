"""The commands: options in, calls of the rooms below, answers out. Nothing is computed here."""
