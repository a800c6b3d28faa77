"""The leaderboard's static site and tables: records in, files out; nothing here ranks or scores."""
