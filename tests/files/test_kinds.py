"""Names that tell what a file is: the shortcuts past a pattern never miss what the pattern matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modstar_lsp.files import kinds


@given(st.from_regex(kinds._SECRET, fullmatch=True))
def test_every_name_of_a_secret_is_looked_at(name: str) -> None:
    assert kinds.is_secret(name) or re.fullmatch(kinds._SECRET_EXAMPLE, name)


@pytest.mark.parametrize("pattern", [kinds._MINIFIED, kinds._GENERATED])
@given(data=st.data())
def test_every_name_made_by_a_tool_is_looked_at(pattern: str, data: st.DataObject) -> None:
    name = data.draw(st.from_regex(pattern, fullmatch=True))
    assert any(sign in name for sign in kinds._TOOL_SIGNS)
