from tests.engine.conftest import http, model, nodes

__all__ = ["http", "model", "nodes"]
