from tests.worker.conftest import pools

__all__ = ["pools"]
