"""A store filled from folders, bare clones, git URLs and lists of them: git reads, and obeys nobody else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from modstar_lsp.encoder import Encoder
from modstar_lsp.errors import QueryError, WorkspaceError
from modstar_lsp.stores import git
from modstar_lsp.stores.filling import Filled
from modstar_lsp.stores.opening import open_store
from modstar_lsp.stores.organisation import Manner, fill_repositories
from modstar_lsp.stores.pipeline import Failed, Outcome
from modstar_lsp.stores.repositories import all_named, check_out, listed, named
from modstar_lsp.stores.store import Store, StoreScope
from modstar_lsp.stores.workers import Here
from tests.cli.conftest import Shell, make_shell, write_files

pytest.importorskip("lancedb")
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

BOUNDS = {"include": [], "exclude": [], "max_bytes": 1_000_000}
PRICES = {"prices.py": "def parse_prices(text):\n    return text.split()\n"}


def run_git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    name = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(
        ["git", *name, *arguments], cwd=folder, input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def commit(folder: Path, files: Mapping[str, str]) -> Path:
    """A repository whose newest commit has these files."""
    write_files(folder, files)
    if not (folder / ".git").exists():
        run_git(folder, "init", "--quiet")
    run_git(folder, "add", "--force", ".")
    run_git(folder, "commit", "--quiet", "--message", "more")
    return folder


def bare(repository: Path) -> Path:
    """A bare clone of it, beside it."""
    clone = repository.with_name(f"{repository.name}-bare.git")
    run_git(repository.parent, "clone", "--quiet", "--bare", str(repository), str(clone))
    return clone


@pytest.fixture
def store(tmp_path: Path, encoder: Encoder) -> Iterator[Store]:
    store = open_store(f"lance:{tmp_path / 'store'}", encoder.bundle.indexed, write=True)
    yield store
    store.close()


def fill(store: Store, encoder: Encoder, *texts: str | Path, **more: object) -> list[Outcome]:
    """Fills the store from what these name."""
    manner = Manner("everyone", 0, BOUNDS)._replace(**more)  # type: ignore[arg-type]
    repositories = all_named(map(str, texts))
    return list(fill_repositories(store, repositories, encoder.bundle, manner, Here(encoder)))


def changes(outcomes: Sequence[Outcome]) -> list[tuple[int, bool]]:
    """(files changed, whether nothing had to be read) of each."""
    return [(one.changed, one.current) for one in outcomes if isinstance(one, Filled)]


def test_a_list_of_all_kinds_is_filled_and_one_that_fails_is_a_line(tmp_path: Path) -> None:
    code = {"a.py": "def close_the_pool(pool):\n    return pool.close()\n", "built/b.py": "built = 1\n"}
    source = commit(tmp_path / "code", {**code, ".gitignore": "built/\n"})
    write_files(tmp_path / "plain", PRICES)
    lines = ["# all that we have", "", f"file://{source}", str(bare(source)), "no-such-place", "plain"]
    shell = make_shell(tmp_path, write_files(tmp_path, {"all.txt": "\n".join(lines)}))
    told = shell.index("--store", "lance:store", "--from", "all.txt", "--json")
    filled = json.loads("[" + told.out.replace("}\n{", "},{") + "]")
    assert [(one["name"], one["files"]) for one in filled] == [("code", 2), ("code-bare", 2), ("plain", 1)]
    assert told.status == 2 and told.err.count("\n") == 1 and "no-such-place: no such folder" in told.err
    assert shell.query("close the pool", "--store", "lance:store").out.startswith("code")


def test_what_the_store_holds_at_that_commit_is_passed_over(
    tmp_path: Path, store: Store, encoder: Encoder
) -> None:
    source = commit(tmp_path / "shop", {"a.py": "a = 1\n", "b.py": "b = 2\n"})
    both = f"file://{source}", bare(source)
    assert changes(fill(store, encoder, *both)) == [(2, False), (2, False)]
    assert changes(fill(store, encoder, *both)) == [(0, True), (0, True)]
    commit(source, {"b.py": "b = 3\n"})
    assert changes(fill(store, encoder, *both)) == [(1, False), (0, True)]
    others = {**BOUNDS, "exclude": ["b.py"]}
    assert changes(fill(store, encoder, *both, bounds=others)) == [(0, False), (0, False)]
    assert [one.files for one in store.repositories(["everyone"])] == [1, 1]
    assert changes(fill(store, encoder, both[0], label="secret")) == [(2, False)]


def test_who_has_a_store_open_sees_what_is_filled_later(
    tmp_path: Path, store: Store, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modstar_lsp.stores.lance._LOOKED_AGAIN", timedelta(0))
    one, other = (write_files(tmp_path / name, PRICES) for name in ("one", "other"))
    fill(store, encoder, one)
    reader = open_store(store.url, encoder.bundle.indexed)
    assert [found.name for found in reader.repositories(["everyone"])] == ["one"]
    fill(store, encoder, other)
    assert sorted(found.name for found in reader.repositories(["everyone"])) == ["one", "other"]
    assert reader.count("files", StoreScope(), ["parse"]) == 2


def test_a_fill_that_ended_half_way_is_no_commit_that_may_be_passed_over(
    tmp_path: Path, store: Store, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = commit(tmp_path / "shop", {"a.py": "a = 1\n", "b.py": "b = 2\n"})
    first = run_git(source, "rev-parse", "HEAD")
    url = f"file://{source}"
    fill(store, encoder, url)
    commit(source, {"a.py": "a = 5\n", "b.py": "b = 5\n"})
    with monkeypatch.context() as patched:
        patched.setattr("modstar_lsp.stores.filling._FILES", 1)
        patched.setattr("modstar_lsp.stores.filling.Filling.finish", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fill(store, encoder, url)
    run_git(source, "reset", "--quiet", "--hard", first)
    assert changes(fill(store, encoder, url)) == [(2, False)]


def test_a_repository_runs_nothing_and_leads_nowhere(tmp_path: Path, store: Store, encoder: Encoder) -> None:
    source = tmp_path / "shop"
    write_files(source, {**PRICES, ".gitattributes": "*.py filter=evil\n"})
    write_files(tmp_path, {"outside.py": "def outside():\n    return 1\n"})
    (source / "link.py").symlink_to("../outside.py")
    (source / "folder").symlink_to("..")
    commit(source, {})
    clone = bare(source)
    ran = tmp_path / "ran"
    hook = write_files(tmp_path, {"hook": f"#!/bin/sh\ntouch '{ran}'\ncat\n"}) / "hook"
    hook.chmod(0o755)
    for key in (
        "core.fsmonitor core.sshCommand core.pager core.askPass credential.helper filter.evil.smudge "
        "filter.evil.clean uploadpack.packObjectsHook core.alternateRefsCommand tar.tar.command"
    ).split():
        run_git(clone, "config", key, str(hook))
    run_git(clone, "config", "core.hooksPath", str(tmp_path / "hooks"))
    for name in ("post-checkout", "post-index-change", "reference-transaction", "post-merge"):
        for folder in (tmp_path / "hooks", clone / "hooks"):
            folder.mkdir(exist_ok=True)
            shutil.copy(hook, folder / name)
    for place in (clone, f"file://{clone}"):
        (outcome,) = fill(store, encoder, place)
        assert isinstance(outcome, Filled)
        assert not ran.exists()
        assert "link.py" not in store.known(outcome.repository.name)
        assert set(store.known(outcome.repository.name)) <= {"prices.py", ".gitattributes"}


@pytest.mark.parametrize("path", ["../evil.py", ".git/config", "a/../../evil.py"])
def test_a_commit_with_a_path_that_leads_out_is_refused(
    tmp_path: Path, store: Store, encoder: Encoder, path: str
) -> None:
    clone = bare(commit(tmp_path / "shop", PRICES))
    name = run_git(clone, "hash-object", "-w", "--stdin", stdin=b"evil = 1\n")
    entry = b"100644 %s\0%s" % (path.encode(), bytes.fromhex(name))
    tree = run_git(clone, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=entry)
    run_git(clone, "update-ref", "HEAD", run_git(clone, "commit-tree", "-m", "evil", tree))
    (outcome,) = fill(store, encoder, clone)
    assert isinstance(outcome, Failed) and str(clone) in outcome.why and "\n" not in outcome.why
    assert not [*tmp_path.rglob("evil.py")]


@pytest.mark.parametrize(
    "text",
    [
        "--upload-pack=touch x",
        "ext::sh -c true",
        "ext://x",
        "git://host/x",
        "http://host/x",
        "fd://7",
        "",
        "-",
    ],
)
def test_what_is_no_repository_is_refused_before_anything_runs(text: str) -> None:
    try:
        repository = named(text)
    except QueryError as error:
        assert "\n" not in str(error)
    else:
        assert repository.kind == "folder", "which there is not"


def test_a_name_is_what_people_call_it(tmp_path: Path) -> None:
    assert named("https://host/team/shop.git").name == "team/shop"
    assert named("https://somebody:secret@host:8443/team/shop/").name == "team/shop"
    assert named("git@host:team/shop.git").name == "team/shop"
    assert named("ssh://git@host/team/shop").name == "team/shop"
    assert named("file:///srv/git/shop.git").name == "shop"
    assert "secret" not in str(named("https://somebody:secret@host/team/shop"))
    with pytest.raises(QueryError, match="--repository"):
        all_named(["https://one/team/shop", "https://two/team/shop"])
    assert len(all_named(["https://one/team/shop", "https://one/team/shop"])) == 1
    with pytest.raises(WorkspaceError, match="cannot be read"):
        listed(tmp_path / "nowhere.txt")


def test_a_password_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(git, "_ASKING", 20.0)
    with pytest.raises(WorkspaceError) as caught:
        check_out(named("https://somebody:secret@127.0.0.1:1/team/shop"), tmp_path, "", BOUNDS)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_one_larger_than_there_is_room_for_is_a_line_and_leaves_nothing(
    tmp_path: Path, store: Store, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = commit(tmp_path / "shop", {"a.py": "a = 1\n" * 20, "b.py": "b = 1\n" * 20})
    monkeypatch.setattr(git, "MOST_CLONED", 200)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (outcome,) = fill(store, encoder, bare(source))
    assert isinstance(outcome, Failed) and "room" in outcome.why
    assert not [*scratch.iterdir()]


def test_an_empty_repository_is_a_line_and_takes_nothing_from_the_store(
    tmp_path: Path, store: Store, encoder: Encoder
) -> None:
    source = commit(tmp_path / "shop", PRICES)
    fill(store, encoder, f"file://{source}")
    shutil.rmtree(source / ".git")
    run_git(source, "init", "--quiet")
    for place in (f"file://{source}", source / ".git"):
        (outcome,) = fill(store, encoder, place)
        assert isinstance(outcome, Failed) and "nothing was committed" in outcome.why
    assert set(store.known("shop")) == {"prices.py"}


def test_what_only_a_store_takes_needs_one(tmp_path: Path) -> None:
    shell: Shell = make_shell(tmp_path, write_files(tmp_path / "shop", PRICES))
    told = shell.index("--workers", "2")
    assert (
        told.status == 2 and told.err == "modstar-index: --workers fills a store: name one with --store URL\n"
    )
