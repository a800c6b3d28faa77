"""From sources to a published data set of the images that no zoom solves. It knows no leaderboard."""
