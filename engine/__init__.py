"""The engine: runs a flow and yields typed events. Pure asyncio; no Django, Celery, Redis or wall clock."""
