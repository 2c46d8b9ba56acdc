"""What an encoder reads before a text: training notes it in a checkpoint, all who encode read it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

# A text, or an instruction and a text that the tokenizer frames as a pair.
Text: TypeAlias = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Prompts:
    """The instructions. `{language}` in that of code is its language, or left out where none is known.

    paired: <sep> instruction <sep> text <cls>, as the paper has it, and not one text behind the other.
    """

    query: str = ""
    code: str = ""
    paired: bool = True

    @classmethod
    def of(cls, training: Mapping[str, Any]) -> Prompts:
        """Those that a checkpoint was trained with, by the `training` of its configuration."""
        told = training.get("prompts", {})
        return cls(
            query=told.get("query", ""),
            code=told.get("code_by_language", told.get("code", "")),
            paired=bool(training.get("paired_prompts", False)),
        )

    def told(self) -> dict[str, Any]:
        """What `of` reads: an index, which names no language to the encoder, reads "code"."""
        if not (self.query or self.code):
            return {}
        prompts = {"query": self.query, "code": self.of_code("")}
        if self.code != prompts["code"]:
            prompts["code_by_language"] = self.code
        return {"prompts": prompts, "paired_prompts": self.paired}

    def of_code(self, language: str) -> str:
        """The instruction before a piece of code."""
        return " ".join(self.code.replace("{language}", language.lower()).split()) if self.code else ""

    def before_query(self, text: str) -> Text:
        """A question in prose as the encoder reads it."""
        return self._before(self.query, text)

    def before_code(self, text: str, language: str = "") -> Text:
        """A piece of code as the encoder reads it."""
        return self._before(self.of_code(language), text)

    def before(self, texts: Sequence[str], role: str, language: str = "") -> list[Text]:
        """Texts in the role "query" or "code" as the encoder reads them."""
        if role == "query":
            return [self.before_query(text) for text in texts]
        return [self.before_code(text, language) for text in texts]

    def _before(self, prompt: str, text: str) -> Text:
        if not prompt:
            return text
        return (prompt, text) if self.paired else prompt + text
