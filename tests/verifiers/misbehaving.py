"""A verifier that does what the response says: what the pool has to live with."""

import ctypes
import os
import time

from byheart.contracts import ProcessVerifier
from byheart.types import Judgement, Problem
from typing_extensions import override


class Misbehaving(ProcessVerifier):
    """Reads the response as an instruction and its operand, such as "sleep 30"."""

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        what, _, how = response.partition(" ")
        if what == "sleep":
            time.sleep(float(how))
        elif what == "spin":
            while True:
                pass
        elif what == "hang":
            (10**9) ** (10**9)  # in C: no signal handler of Python's would ever run
        elif what == "exit":
            os._exit(int(how))
        elif what == "crash":
            ctypes.string_at(0)
        elif what == "memory":
            bytearray(int(float(how) * 2**30))
        elif what == "print":
            print(how, flush=True)
        elif what == "raise":
            raise RuntimeError(how)
        elif what == "recurse":
            return self.verify(problem, response)
        return Judgement(1.0, str(os.getpid()))
