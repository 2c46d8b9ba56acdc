"""Eglot with the configuration that the manual shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.editors.editor_programs import PROJECT
from tests.editors.emacs.conftest import Emacs


def configuration(server_command: list[str]) -> str:
    """The manual's configuration for Eglot, with the test's server in place of the installed one."""
    manual = (PROJECT / "docs/editors/emacs.md").read_text("utf-8")
    (shown,) = [block for block in re.findall(r"```elisp\n(.*?)```", manual, re.S) if "eglot" in block]
    assert '"modstar-lsp"' in shown
    return shown.replace('"modstar-lsp"', " ".join(json.dumps(word) for word in server_command))


def test_a_sentence_finds_its_function(emacs: Emacs, shop: Path, server_command: list[str]) -> None:
    connected, found, place = emacs(
        shop,
        f"""(setq eglot-sync-connect 30) {configuration(server_command)}
        (find-file "src/shop/jsonio.py") (python-mode)
        (apply #'eglot (eglot--guess-contact))
        (note (vector (eglot-project-nickname (eglot-current-server))))
        (let ((found (xref-backend-apropos 'eglot "retry failed uploads, waiting longer each time")))
          (note (vconcat (mapcar #'xref-item-summary found)))
          (let ((marker (xref-location-marker (xref-item-location (car found)))))
            (with-current-buffer (marker-buffer marker)
              (goto-char marker) (note-place (current-buffer)))))
        (eglot-shutdown (eglot-current-server))""",
    )
    assert connected == ["shop"]
    assert "retry_failed_uploads" in found[0]
    assert place[:2] == [str(shop / "src/shop/upload.py"), 22]


def test_a_region_has_similar_code(emacs: Emacs, shop: Path, server_command: list[str]) -> None:
    (titles,) = emacs(
        shop,
        f"""(setq eglot-sync-connect 30) {configuration(server_command)}
        (find-file "src/shop/jsonio.py") (python-mode)
        (apply #'eglot (eglot--guess-contact))
        (goto-line 6) (push-mark (point) t t) (goto-line 10)
        (note (vconcat (mapcar (lambda (action) (plist-get action :title))
                               (eglot-code-actions (region-beginning) (region-end)))))
        (eglot-shutdown (eglot-current-server))""",
    )
    assert any("similar" in title.lower() for title in titles)
