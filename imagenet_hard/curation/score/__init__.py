"""Which images no zoom of any classifier solves. Nothing here asks people or writes a data set."""
