"""What a workspace may use: calls a minute, runs at once, tokens and money a month, for it all, its keys and flows."""
