"""A verification that hangs, dies, eats memory or fails costs its own verdict, its own time limit, and nothing else."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import psutil
import pytest
from byheart.types import Judgement, Problem
from byheart.verifiers.core.pool import Pool, checked, ended, failed
from pydantic import BaseModel, Field, ValidationError

from tests.conftest import ROOT, environment
from tests.verifiers.misbehaving import Misbehaving

PROBLEM = Problem.of("What?", "42", "misbehaving")
LIMITS = Misbehaving(time_limit=0.5, memory=0.5, workers=2)
UNHURRIED = LIMITS.model_copy(update={"time_limit": 30.0})

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool() as pool:
        judged(pool, ["warm", "warm"])
        yield pool


def judged(pool: Pool, responses: list[str], verifier: Misbehaving = LIMITS) -> list[Judgement]:
    futures = [pool.submit(verifier, PROBLEM, response) for response in responses]
    wait(futures)
    return [ended(future, verifier) for future in futures]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("sleep 30", "took more than 0.5 s"),
        ("spin", "took more than 0.5 s"),
        ("hang", "took more than 0.5 s"),
        ("exit 0", "took more than 0.5 s"),  # a worker may end well between two tasks, so nobody wonders at a 0
        ("exit 3", "died (exit code 3)"),
        ("crash", f"died (exit code {-signal.SIGSEGV})"),
        ("memory 4", "took more than 0.5 GiB"),
        ("raise oh no", "RuntimeError: oh no"),
        ("recurse", "RecursionError"),
    ],
)
def test_what_goes_wrong_is_unjudged_and_the_next_is_judged(pool: Pool, response: str, reason: str) -> None:
    judgement, after, again = judged(pool, [response, "fine", "fine"])
    assert judgement.score is None
    assert reason in judgement.reason
    assert after.score == again.score == 1.0


def test_the_clock_starts_with_the_work_not_with_the_wait(pool: Pool) -> None:
    assert [judgement.score for judgement in judged(pool, ["sleep 0.2"] * 10)] == [
        1.0
    ] * 10  # 1 s of work behind half of one


def test_what_hangs_costs_no_other_verdict(pool: Pool) -> None:
    judgements = judged(pool, ["spin" if index % 50 == 0 else "fine" for index in range(200)])
    assert [judgement.score for judgement in judgements] == [None if index % 50 == 0 else 1.0 for index in range(200)]


def test_the_worker_that_died_is_replaced(pool: Pool) -> None:
    before = {judgement.answer for judgement in judged(pool, ["sleep 0.05"] * 8)}
    judged(pool, ["exit 3", "exit 3"])
    after = {judgement.answer for judgement in judged(pool, ["sleep 0.05"] * 8)}
    assert after
    assert not before & after


def test_memory_is_counted_for_each_verification_and_given_back(pool: Pool) -> None:
    assert [judgement.score for judgement in judged(pool, ["memory 0.3"] * 8, UNHURRIED)] == [1.0] * 8


def test_it_works_off_the_main_thread(pool: Pool) -> None:
    judgements: list[Judgement] = []
    thread = threading.Thread(target=lambda: judgements.extend(judged(pool, ["spin", "fine"])))
    thread.start()
    thread.join()
    assert [judgement.score for judgement in judgements] == [None, 1.0]


def test_nothing_is_left_after_close() -> None:
    pool = Pool()
    pids = {int(judgement.answer or 0) for judgement in judged(pool, ["sleep 0.05"] * 4)}
    for _ in range(4):
        pool.submit(LIMITS, PROBLEM, "spin")
    pool.close()
    pool.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_workers_end_with_their_parent_even_where_one_is_busy_in_c() -> None:
    code = (
        "from tests.verifiers.core.test_pool import *\n"
        "pool = Pool()\n"
        "print(*{one.answer for one in judged(pool, ['sleep 0.5'] * 4, UNHURRIED)}, flush=True)\n"
        "pool.submit(Misbehaving(time_limit=60.0, workers=2), PROBLEM, 'sleep 60')\n"
        "pool.submit(LIMITS, PROBLEM, 'hang')\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    time.sleep(0.3)  # they are at it
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 30  # the one in C gets twice its limit and two seconds of processor time
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_what_can_not_be_sent_to_a_worker_costs_its_own_verdict(pool: Pool) -> None:
    nested: list[object] = []
    for _ in range(5000):
        nested = [nested]
    deep = Problem("", "What?", "42", "misbehaving", {"deep": nested})
    futures = [pool.submit(LIMITS, problem, "fine") for problem in (deep, PROBLEM)]
    wait(futures)
    assert [ended(future, LIMITS).score for future in futures] == [None, 1.0]


def test_what_a_library_prints_is_not_among_our_results(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    judged(pool, ["print loud"])
    assert "loud" not in capfd.readouterr().out


class Returning(Misbehaving):
    """Returns the text "yes" for the response "yes", else what Misbehaving says."""

    def verify(self, problem: Problem, response: str) -> Any:
        return response if response == "yes" else super().verify(problem, response)


unsound: Any = Judgement


def test_a_worker_checks_what_verify_returned(pool: Pool) -> None:
    wrong, fine = judged(pool, ["yes", "fine"], Returning(time_limit=30.0, memory=0.5, workers=2))
    assert wrong == Judgement(None, None, "the verifier failed: verify returned a str, not a Judgement")
    assert fine.score == 1.0


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (None, "None, not a Judgement"),
        (1.0, "a float, not a Judgement"),
        ((1.0, "4"), "a tuple, not a Judgement"),
        (Judgement(True, "4"), "the score True; a score is 1.0, 0.0, or None for unjudged"),
        (Judgement(0.5, "4"), "the score 0.5; a score is 1.0, 0.0, or None for unjudged"),
        (unsound("1.0", "4"), "the score '1.0'; a score is 1.0, 0.0, or None for unjudged"),
        (unsound(1.0, 4), "an int as the answer; an answer is text, or None"),
        (unsound(0.0, None, ["no"]), "a list as the reason; a reason is text"),
    ],
)
def test_what_is_no_sound_judgement_is_unjudged(returned: Any, reason: str) -> None:
    assert checked(returned) == Judgement(None, None, f"the verifier failed: verify returned {reason}")


@pytest.mark.parametrize("judgement", [Judgement(1.0, "4"), Judgement(0.0, None, "no"), Judgement(None, None, "", 0.2)])
def test_a_sound_judgement_is_passed_on_as_it_is(judgement: Judgement) -> None:
    assert checked(judgement) is judgement


def test_a_validation_error_is_one_line_without_a_url() -> None:
    class Made(BaseModel):
        items: list[float]
        count: int = Field(default=0, ge=0)

    with pytest.raises(ValidationError) as raised:
        Made(items=["x"], count=-1)
    assert failed(raised.value).reason == (
        "the verifier failed: ValidationError: items.0: Input should be a valid number, unable to parse string as a "
        "number"
    )
