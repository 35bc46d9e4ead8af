"""The command line: options, text for people, JSON for programs, exit statuses."""
