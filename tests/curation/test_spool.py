"""What waits on disk comes back as it was, in the order that was asked for, and leaves nothing behind."""

import gc
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
