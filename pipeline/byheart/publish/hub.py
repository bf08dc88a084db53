"""Push a round to the hub: its model and its data set, each to a repository of its own, as one commit that is tagged
with the round.

`survey` looks at the repositories first and refuses before anything is sent; `push` sends. New repositories are
private. After an interruption the same command continues: files that were uploaded are not sent again, and none is
visible before the commit.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from byheart.errors import HubError, InputError
from byheart.models.folder import few
from byheart.publish import manifest
from byheart.publish.manifest import Content, Manifest
from byheart.publish.packing import Parcel

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

MADE_BY_HUB = ".gitattributes"
"""What a repository holds that nobody has pushed to, beside a README.md that says its license at most."""

_BLANK = re.compile(rb"\s*|---\n(license: [^\n]*\n)?---\s*")
"""Such a README.md."""


@dataclass(frozen=True)
class Destination:
    """The repository that a parcel goes to, as it is now: its newest `commit`, None where it is yet to be made, and the
    files of an earlier push that are `stale`, as this one has none of their names."""

    parcel: Parcel
    private: bool
    commit: str | None
    stale: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Who can read what is pushed, in words."""
        seen = "private" if self.private else "public, for all to read"
        return f"{self.parcel.kind} {self.parcel.to} {'is' if self.commit else 'is made now and will be'} {seen}"


def survey(parcels: Iterable[Parcel], tag: str, public: bool = False, into: bool = False) -> list[Destination]:
    """The repository of each parcel; one that is yet to be made becomes private unless `public`. Nothing is sent.

    Raises InputError where a repository holds files that byheart did not push, or that were changed since, unless the
    user said to push `into` it; then files of the same names are overwritten and no other is touched. Raises HubError,
    with what to do, where it has a `tag` of other files, or the hub refuses or can't be reached.
    """
    destinations = []
    for parcel in parcels:
        with _explained(parcel):
            destinations.append(_destination(_hub(), parcel, tag, public, into))
    return destinations


def _destination(hub: HfApi, parcel: Parcel, tag: str, public: bool, into: bool) -> Destination:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = hub.repo_info(parcel.to, repo_type=parcel.kind)
    except RepositoryNotFoundError as error:
        if error.response.status_code != 404:  # who is not logged in is told so for any repository
            raise
        return Destination(parcel, not public, None)
    present = _files(hub, parcel, info.sha)
    known = _known(hub, parcel, info.sha, present)
    own = {path for path, content in known.items() if path in present and content.is_in(present[path])}
    new = Manifest.of(parcel.folder).files
    if not into:
        _check(parcel, present, own, new, made_here=manifest.NAME in known)
    _check_tag(hub, parcel, tag, new)
    return Destination(parcel, bool(info.private), info.sha, tuple(sorted(own - new.keys() - {manifest.NAME})))


def _files(hub: HfApi, parcel: Parcel, revision: str | None) -> dict[str, RepoFile]:
    """The files in the repository of `parcel`, by path."""
    from huggingface_hub.hf_api import RepoFile

    tree = hub.list_repo_tree(parcel.to, repo_type=parcel.kind, revision=revision, recursive=True)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}


def _known(hub: HfApi, parcel: Parcel, commit: str | None, present: Mapping[str, RepoFile]) -> Mapping[str, Content]:
    """What byheart wrote to the repository of `parcel`, by its manifest there, which is among it; a README.md as the
    hub makes it counts too."""
    read = {
        path: Path(hub.hf_hub_download(parcel.to, path, repo_type=parcel.kind, revision=commit))
        for path in (manifest.NAME, "README.md")
        if path in present
    }
    files: dict[str, Content] = {}
    if manifest.NAME in read and (listed := Manifest.read(read[manifest.NAME])):
        files = {**listed.files, manifest.NAME: Content.of(read[manifest.NAME])}
    readme = read.get("README.md")
    if readme and _BLANK.fullmatch(readme.read_bytes()):
        files["README.md"] = Content.of(readme)
    return files


def _check(
    parcel: Parcel,
    present: Mapping[str, RepoFile],
    own: set[str],
    new: Mapping[str, Content],
    made_here: bool,
) -> None:
    """Raises InputError where the repository of `parcel` is another's, or has other contents in files of this push.
    `present` are its files, `own` those of them that are as byheart wrote them."""
    others = sorted(present.keys() - own - {MADE_BY_HUB})
    changed = sorted(path for path in new if path in present and path not in own and not new[path].is_in(present[path]))
    if others and not made_here:
        what = f"holds files that byheart did not push ({few(others)})"
    elif changed:
        what = f"has files that byheart did not push, or that were changed since ({few(changed)})"
    else:
        return
    overwritten = f"{few(changed)} would be overwritten" if changed else "none would be overwritten"
    raise InputError(
        f"the {parcel.kind} {parcel.to} {what}: name another with --to, or say --into {parcel.to} to push there all "
        f"the same: {overwritten}, and what byheart did not write stays"
    )


def push(destinations: Iterable[Destination], tag: str) -> Iterator[str]:
    """Push each parcel as one commit with the tag `tag`, remove its folder, and yield its address. Raises HubError,
    with what to do, where that fails."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    hub = _hub()
    for destination in destinations:
        parcel = destination.parcel
        changes: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(str(path.relative_to(parcel.folder)), path) for path in manifest.files(parcel.folder)
        ]
        changes += [CommitOperationDelete(path) for path in destination.stale]
        with _explained(parcel):
            if destination.commit is None:
                hub.create_repo(parcel.to, repo_type=parcel.kind, private=destination.private)
            commit = hub.create_commit(
                parcel.to, changes, commit_message=tag, repo_type=parcel.kind, parent_commit=destination.commit
            )
            if tag not in _tags(hub, parcel):  # else it is of the same files: see `survey`
                hub.create_tag(parcel.to, tag=tag, revision=commit.oid, repo_type=parcel.kind)
        shutil.rmtree(parcel.folder)
        yield f"{hub.endpoint}/{'datasets/' if parcel.kind == 'dataset' else ''}{parcel.to}/tree/{tag}"


def _hub() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(library_name="byheart")


def _check_tag(hub: HfApi, parcel: Parcel, tag: str, new: Mapping[str, Content]) -> None:
    """Raises HubError where the repository of `parcel` has a `tag` of other files than those of this push."""
    tagged = _files(hub, parcel, tag) if tag in _tags(hub, parcel) else None
    if tagged is not None and not all(path in tagged and content.is_in(tagged[path]) for path, content in new.items()):
        raise HubError(
            f"the {parcel.kind} {parcel.to} has a {tag} already, of other files, and nothing was sent: name another "
            "repository with --to, or delete that tag and run the same command again"
        )


def _tags(hub: HfApi, parcel: Parcel) -> set[str]:
    return {ref.name for ref in hub.list_repo_refs(parcel.to, repo_type=parcel.kind).tags}


CONTINUES = "the connection or the hub failed: the same command continues the upload"

STATUSES = {
    400: "the hub refuses what was sent",
    401: "you are not logged in to the hub: `hf auth login`, or set HF_TOKEN",
    403: "your token may not write there: make one that may, or name a repository of your own with --to",
    409: "somebody else pushed at the same time: run the same command again",
    412: "somebody else pushed at the same time: run the same command again",
    413: "it is too large for the hub: publish the adapter alone, without --merged, or ask the hub for room",
    429: "the hub limits the rate of requests: try again in {wait}",
    504: "the hub took too long to answer: the same command continues the upload",
}
"""HTTP status -> what it means here, and what to do."""


@contextmanager
def _explained(parcel: Parcel) -> Iterator[None]:
    """Turn any error into a HubError that says what to do."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (HubError, InputError):
        raise
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ and not isinstance(cause, HfHubHTTPError):
            cause = cause.__cause__
        what, message = CONTINUES, str(cause)
        if isinstance(cause, HfHubHTTPError):
            what = STATUSES.get(cause.response.status_code, CONTINUES).format(wait=_wait(cause.response.headers))
            message = cause.server_message or message
        raise HubError(
            f"{parcel.kind} {parcel.to} is not published: {what} ({' '.join(message.split())[:200]})"
        ) from error


def _wait(headers: Mapping[str, str]) -> str:
    """How long the hub says to wait, by either of the headers that it may say it with."""
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]  # not in its __all__

    limit, after = parse_ratelimit_headers(headers), headers.get("retry-after", "")
    seconds = int(after) if after.isdigit() else limit.reset_in_seconds if limit else 0
    return f"{seconds} seconds" if 0 < seconds < 120 else f"{seconds / 60:.0f} minutes" if seconds else "some minutes"
