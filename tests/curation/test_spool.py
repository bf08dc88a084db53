"""What waits on disk comes back as it was, in the order that was asked for, and leaves nothing behind."""

import gc
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

from byheart.curation.spool import Spool, in_order
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import row


def test_items_come_back_as_they_were_as_often_as_wanted(tmp_path: Path) -> None:
    rows = [row("a"), row("b", hinted=True, value=-0.5)]
    spool = Spool(tmp_path, iter(rows))
    assert list(spool) == list(spool) == rows
    assert list(zip(spool, spool, strict=True)) == [(each, each) for each in rows], "two readers at a time"


@given(st.lists(st.tuples(st.integers(0, 3), st.text())))
def test_they_come_in_the_order_of_their_keys_and_equal_ones_as_they_came(items: list[tuple[int, str]]) -> None:
    assert list(Spool(Path(gettempdir()), items, key=lambda item: item[0])) == sorted(items, key=lambda item: item[0])


def test_groups_come_in_order_an_item_at_a_time(tmp_path: Path) -> None:
    assert list(in_order([((1, 0), ["c"]), ((0, 2), ["a", "b"]), ((2,), [])], tmp_path)) == ["a", "b", "c"]


def test_no_file_stays(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    spool = Spool(tmp_path, range(3))
    assert list(tmp_path.iterdir()) == [], "nor does one if the process is killed"
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    del spool
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_full_disk_is_said_once(tmp_path: Path) -> None:
    code = f"""
import resource, signal
from pathlib import Path
from byheart.curation.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    Spool(Path({str(tmp_path)!r}), ("x" * 500 for _ in range(100)))
except OSError:
    print("no room")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("no room\n", "")
