"""Runs that nobody asks for by hand: webhooks and schedules."""
