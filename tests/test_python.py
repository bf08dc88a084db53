"""The loop from Python: the lines of the README, and the names that byheart itself offers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import byheart
import pytest

from tests.conftest import ROOT


def test_every_public_name_is_there_and_no_module_hides_one() -> None:
    code = "import byheart, byheart.loop\nprint([type(getattr(byheart, name)).__name__ for name in byheart.__all__])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "module" not in done.stdout
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        byheart.nothing  # noqa: B018


@pytest.mark.torch
def test_the_lines_of_the_readme_do_rounds(tmp_path: Path, tiny: Path) -> None:
    [code] = re.findall(
        r"```python\n(from pathlib import Path\n\nimport byheart\n.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    assert len(code.splitlines()) <= 12
    answers = {
        f"What is {a} times {b}? Reply with just the number.": [f"{a * b}", f"{a * b + 1}"]
        for a in range(2, 13)
        for b in range(2, 13)
    }
    (tmp_path / "script.json").write_text(json.dumps(answers))
    (tmp_path / "mine.yaml").write_text(f"""
name: mine
model: {{name: {tiny}, max_context: 128}}
task: {{name: times_table, num_train: 7, num_dev: 6, num_held_out: 6}}
engine: {{name: scripted, script: script.json}}
strategy: {{name: direct, samples: 2, max_samples: 2}}
objective: none
evaluation: {{num_train: 6, num_slow: 2}}
""")
    script = tmp_path / "script.py"
    script.write_text(code.replace('"addition"', '"mine.yaml"').replace("num_train=100", "num_train=8"))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for n in (1, 2):
        stages = json.loads((tmp_path / f"runs/mine/round-00{n}/stages.json").read_text())
        assert tuple(stages) == byheart.STAGES
        assert stages["load"]["num_train"] == 8
        assert (tmp_path / f"runs/mine/round-00{n}/metrics.json").is_file()
