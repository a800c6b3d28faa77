"""Entries: checked, scored again from answers, ranked, shown. It believes no number that is sent."""
