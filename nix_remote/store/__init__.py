"""Store paths and what is known of them: path infos, closures, the plan of a copy. Pure."""
