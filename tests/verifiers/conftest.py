"""What verifiers leave warm is closed at the end of a module, so that no test counts the processes of another."""

from collections.abc import Iterator

import pytest
from byheart.verifiers import code


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    code.close()
