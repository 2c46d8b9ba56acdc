from __future__ import annotations

from pathlib import Path

import pytest
from index_fakes import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def sources(tree: Tree) -> Tree:
    """A workspace with a few files."""
    tree.write("src/json_tools.py", PARSER)
    tree.write("src/net/client.py", CLIENT)
    tree.write("README.md", "# Uploads\n\nFailed uploads are retried.\n")
    return tree


PARSER = '''\
import json


def parseJson(text):
    """Parse a JSON document."""
    return json.loads(text)


def dump_json(value, indent=2):
    """Write a value as a JSON document, with some indentation."""
    return json.dumps(value, indent=indent)
'''

CLIENT = '''\
class Client:
    """Talks to the server and retries what fails."""

    def send(self, request, retries=3):
        for attempt in range(retries):
            response = self.session.post(request.url, request.body)
            if response.ok:
                return response
        raise ConnectionError("gave up after several attempts")

    def close(self):
        self.session.close()
        self.session = None
'''
