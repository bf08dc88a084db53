"""The command line without the wait: one process imports what commands need, and forks for each that a test gives.

A command still has a process of its own, with its own working directory, environment and output, and ends as a
console script does. What it starts itself (training, workers) is started from nothing, as in use.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path


class Warm:
    """Runs commands one at a time in forks of one process, which is started with the first of them, in the environment
    `env`: for what a library reads of it once, as it is imported."""

    def __init__(self, env: dict[str, str] | None = None) -> None:
        self._env = env
        self._server: subprocess.Popen[str] | None = None

    def run(
        self, arguments: Sequence[str], folder: Path, env: dict[str, str], before: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """What `byheart` with these `arguments` does in `folder`; `before` is code that is run in its process first."""
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        assert self._server.stdin and self._server.stdout
        with tempfile.TemporaryDirectory() as outputs:
            out, err = Path(outputs, "out"), Path(outputs, "err")
            request = {"arguments": arguments, "folder": str(folder), "env": env, "before": before}
            request |= {"out": str(out), "err": str(err)}
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            code = int(self._server.stdout.readline())
            return subprocess.CompletedProcess(arguments, code, out.read_text("utf-8"), err.read_text("utf-8"))

    def close(self) -> None:
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.communicate()


def serve() -> None:
    import datasets
    import peft
    import transformers
    from byheart import cli, loop
    from byheart.models import checkpoint
    from byheart.report import page

    assert all((datasets, loop, checkpoint, page, peft.PeftModel, transformers.AutoTokenizer))
    gc.collect()
    gc.freeze()  # what is never touched is never copied
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        for descriptor, path in enumerate((os.devnull, request["out"], request["err"])):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["env"])
        time.tzset()
        sys.argv = ["byheart", *request["arguments"]]
        exec(request["before"], {})
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        os._exit(code)  # taking torch down again, module by module, would take a second


if __name__ == "__main__":
    serve()
