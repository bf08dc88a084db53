"""What is known of a model without loading it."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from byheart.errors import ModelError
from byheart.models import checkpoint
from safetensors.numpy import save_file


def test_the_parameters_of_all_files_are_counted_by_their_headers(tmp_path: Path) -> None:
    save_file({"w": numpy.zeros((3, 4), numpy.float32), "b": numpy.zeros(5, numpy.float16)}, tmp_path / "a.safetensors")
    save_file({"scale": numpy.zeros((), numpy.float32)}, tmp_path / "b.safetensors", {"format": "pt"})
    assert checkpoint.num_parameters(tmp_path) == 3 * 4 + 5 + 1


@pytest.mark.parametrize(
    "text", [b"", b"weights", (2**62).to_bytes(8, "little") + b"{}", (9).to_bytes(8, "little") + b"not JSON."]
)
def test_a_broken_file_is_said(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(text)
    with pytest.raises(ModelError, match=r"the weights can't be read: .*model\.safetensors"):
        checkpoint.num_parameters(tmp_path)
