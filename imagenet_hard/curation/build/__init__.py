"""From survivors and decisions to a data set in a folder, checked. It scores nothing and talks to no Hub."""
