"""modstar.el in a real Emacs: where it ends up, and in which order it shows the places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.editors.emacs.conftest import Emacs, Terminal

LOAD = "(require 'modstar) @settings"
# Go to the first entry of the list.
FIRST = '(with-current-buffer "*xref*" (goto-char (point-min)) (xref-next-line) (xref-goto-xref))'


def test_a_sentence_leads_to_its_function(emacs: Emacs, shop: Path) -> None:
    shown, place, back = emacs(
        shop,
        f"""{LOAD} (find-file "README.md") (wait-until-known)
        (modstar-search "retry failed uploads, waiting longer each time")
        (note-list) {FIRST} (note-place) (xref-pop-marker-stack) (note-place)""",
    )
    assert re.match(r" 1\. 0\.\d\d src/shop/upload\.py", shown[0])
    assert shown[1] == "22: Uploader.retry_failed_uploads  def retry_failed_uploads(self):"
    assert place == [str(shop / "src/shop/upload.py"), 22, 8]
    assert back[0] == str(shop / "README.md")


def test_hits_stay_in_the_order_of_their_ranks(emacs: Emacs, library: Path) -> None:
    (shown,) = emacs(
        library,
        f"""{LOAD} (find-file "src/_pytest/config/__init__.py") (wait-until-known)
        (modstar-search "where are temporary directories removed") (note-list)""",
    )
    heads = [re.match(r" *(\d+)\. (\d\.\d\d) (.*)", line) for line in shown]
    found = [head.groups() for head in heads if head]
    assert [int(rank) for rank, _, _ in found] == list(range(1, len(found) + 1))
    assert len(found) > 3
    paths = [path for _, _, path in found]
    assert paths != sorted(paths), "sorted by file: this question shows nothing"


def test_the_region_finds_its_like_in_another_language(emacs: Emacs, shop: Path) -> None:
    shown, place = emacs(
        shop,
        f"""{LOAD} (find-file "src/shop/jsonio.py") (transient-mark-mode 1)
        (goto-line 6) (push-mark (point) t t) (goto-line 10)
        (wait-until-known) (modstar-similar) (note-list) {FIRST} (note-place)""",
    )
    assert "web/schöne preise/client.ts" in shown[0]
    file = shop / "web/schöne preise/client.ts"
    # Columns are counted in characters, whatever their width in bytes.
    assert place[0] == str(file)
    assert file.read_text("utf-8").splitlines()[place[1] - 1] != ""


def test_the_definition_at_point_is_taken_without_a_region(emacs: Emacs, shop: Path) -> None:
    (shown,) = emacs(
        shop,
        f"""{LOAD} (find-file "src/shop/jsonio.py") (wait-until-known)
        (goto-line 8) (modstar-similar) (note-list)""",
    )
    assert "client.ts" in shown[0]
    assert not any("parse_json" in line for line in shown)


def test_unsaved_text_is_found_where_it_stands(emacs: Emacs, shop: Path) -> None:
    shown, place = emacs(
        shop,
        f"""{LOAD} (find-file "src/shop/pool.py") (wait-until-known)
        (goto-char (point-min)) (insert "# 🛒 a line above\\n")
        (goto-char (point-max)) (insert "\\n\\ndef translate_menu_to_klingon(menu):\\n    return menu\\n")
        (modstar-search "translate the menu to klingon") (note-list) {FIRST} (note-place)""",
    )
    assert "translate_menu_to_klingon" in shown[1]
    assert place == [str(shop / "src/shop/pool.py"), 12, 4]
    assert "klingon" not in (shop / "src/shop/pool.py").read_text("utf-8")


def test_a_killed_server_is_started_by_the_next_search(emacs: Emacs, shop: Path) -> None:
    state, shown = emacs(
        shop,
        f"""{LOAD} (find-file "README.md") (modstar-status)
        (let ((connection (cdar modstar--connections)))
          (signal-process (jsonrpc--process connection) 'SIGKILL)
          (while (jsonrpc-running-p connection) (accept-process-output nil 0.05)))
        (note (vector "was killed"))
        (wait-until-known) (modstar-search "close idle database connections") (note-list)""",
    )
    assert state == ["was killed"]
    assert "src/shop/pool.py" in shown[0]


def test_indexing_is_paused_and_resumed_and_made_anew(emacs: Emacs, shop: Path) -> None:
    # Each command is answered when it is on its way to the process that indexes.
    until = """(with-timeout (40) (while (not (string-match-p {0} (modstar-status))) (sleep-for 0.05)))
        (note (modstar-status))"""
    ready, emptied = until.format('": ready, 6 of 6 "'), until.format('": paused, 0 of "')
    paused, resumed, cleared, anew = emacs(
        shop,
        f"""{LOAD} (find-file "README.md") (wait-until-known)
        (modstar-pause) (note (modstar-status))
        (modstar-resume) {ready}
        (modstar-clear) {emptied}
        (modstar-reindex) {ready}""",
    )
    assert ": paused, 6 of 6 files" in paused
    assert ": paused, 0 of " in cleared
    assert ": ready, 6 of 6 files" in resumed and resumed == anew


def test_settings_reach_the_server(emacs: Emacs, shop: Path) -> None:
    (shown,) = emacs(
        shop,
        f"""{LOAD} (setq modstar-settings '(:search (:limit 1))) (find-file "README.md")
        (wait-until-known) (modstar-search "parse json") (note-list)""",
    )
    assert len(shown) == 2  # one head and one line


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('(find-file "README.md") (modstar-search "anything")', "modstar-lsp-of-nobody is not installed"),
        ('(find-file "/") (modstar-search "anything")', "no project here"),
        ('(find-file "README.md") (with-temp-buffer (modstar-similar))', "this buffer has no file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(emacs: Emacs, shop: Path, body: str, said: str) -> None:
    (error,) = emacs(
        shop,
        f"""{LOAD} (condition-case error (progn {body}) (user-error (note (error-message-string error))))""",
        command=["modstar-lsp-of-nobody"],
    )
    assert said in error and "\n" not in error


def test_the_library_compiles_without_a_warning(emacs: Emacs, shop: Path, tmp_path: Path) -> None:
    (warnings,) = emacs(
        shop,
        f"""(require 'bytecomp)
        (defvar found nil)
        (setq byte-compile-dest-file-function (lambda (_) "{tmp_path}/modstar.elc"))
        (setq byte-compile-log-warning-function (lambda (text &rest _) (push text found)))
        (byte-compile-file (locate-library "modstar.el"))
        (note (vconcat found))""",
    )
    assert warnings == []


def test_the_prompt_shows_hits_while_a_question_is_typed_and_remembers_it(
    terminal: Terminal, shop: Path
) -> None:
    screen = terminal(
        shop,
        """(find-file "README.md") (wait-until-known) (global-set-key (kbd "C-c s") #'modstar-search)
        (add-hook 'emacs-startup-hook (lambda () (message "ready to ask")))""",
    )
    screen.see("ready to ask")
    screen.type("\x03s")
    screen.see("Search code by meaning")
    screen.type("retry failed uploads")
    screen.see("src/shop/upload.py:22  Uploader.retry_failed_uploads")
    screen.type("\r")
    screen.see("*xref*")
    screen.type("\x03s")
    screen.see("Search code by meaning")
    screen.type("\x1bp")
    screen.see("retry failed uploads")
    screen.see("Uploader.retry_failed_uploads")
