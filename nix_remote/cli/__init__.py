"""The command line: options, texts for people, JSON for machines, exit statuses."""
