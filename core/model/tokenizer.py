"""Text → ids with exact character offsets, for any tokenizer a RexUniNLU checkpoint may carry (SPEC 0.1, 4.1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from core.errors import CheckpointError, InputError
from core.model.characters import Characters
from core.model.config import MARKERS


@dataclass(frozen=True, slots=True)
class Encoding:
    """ids: (n,) int32. offsets: (n, 2) int32, code points of the string that was encoded, end exclusive."""

    ids: np.ndarray
    offsets: np.ndarray


class RexTokenizer:
    """Encodes prompts, where markers count, and user text, where they are ordinary characters.

    The two share a vocabulary but not a `Tokenizer`: whether markers are recognised is a state of that object, and
    two objects keep every call free of state.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.add_special_tokens([AddedToken(marker, special=True, normalized=False) for marker in MARKERS])
        self._marked = tokenizer
        self._plain = Tokenizer.from_str(tokenizer.to_str())
        self._marked.encode_special_tokens = False
        self._plain.encode_special_tokens = True
        self._characters = Characters(self._plain)
        self.cls_id, self.sep_id, self.pad_id = (self._id(token) for token in ("[CLS]", "[SEP]", "[PAD]"))
        self.prefix_id, self.type_id, self.classify_id, self.multiclassify_id = (self._id(m) for m in MARKERS)

    def _id(self, token: str) -> int:
        found = self._marked.token_to_id(token)
        if found is None:
            raise CheckpointError(f"分词器缺少特殊符号 {token}：请检查检查点目录里的 tokenizer.json 或 vocab.txt")
        return found

    @property
    def size(self) -> int:
        """Number of ids, markers included."""
        return max(self._marked.get_vocab(with_added_tokens=True).values()) + 1

    @classmethod
    def from_directory(cls, directory: Path) -> RexTokenizer:
        """Load `tokenizer.json`, or build a BERT tokenizer from `vocab.txt` and `tokenizer_config.json`."""
        path = directory / "tokenizer.json"
        try:
            if path.is_file():
                return cls(Tokenizer.from_file(str(path)))
            if (directory / "vocab.txt").is_file():
                return cls(_bert_tokenizer(directory))
        except CheckpointError:
            raise
        except Exception as error:  # the library raises bare Exception on any damage
            raise CheckpointError(f"分词器文件无法读取（{directory}）：{error}") from error
        raise CheckpointError(f"检查点目录 {directory} 缺少 tokenizer.json 或 vocab.txt")

    def encode_hint(self, text: str) -> Encoding:
        """Encode a string in which `[PREFIX]`, `[TYPE]` and the class markers are single tokens."""
        return _encode(self._marked, text)

    def encode_text(self, text: str, *, markers: bool = False) -> Encoding:
        """Encode user text; markers in it are ordinary characters unless `markers` is set."""
        if markers:
            return _encode(self._marked, text)
        found = self._characters.encode(text)
        return Encoding(*found) if found else _encode(self._plain, text)


def _encode(tokenizer: Tokenizer, text: str) -> Encoding:
    """Raises InputError for half a surrogate pair, which is no character and which the library cannot take."""
    try:
        one = tokenizer.encode(text, add_special_tokens=False)
    except TypeError as error:
        raise InputError("文字中有不成对的代理字符，不是完整的文字：请改正原文（多半是表情符号被截断了）") from error
    ids = np.asarray(one.ids, dtype=np.int32)
    offsets = np.asarray(one.offsets, dtype=np.int32).reshape(-1, 2)
    return Encoding(ids, offsets)


def _bert_tokenizer(directory: Path) -> Tokenizer:
    config_path = directory / "tokenizer_config.json"
    config = json.loads(config_path.read_text(encoding="utf-8")) if config_path.is_file() else {}
    # Not splitlines(): U+2028 and its like are tokens of some vocabularies.
    tokens = (directory / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", False),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in specials if t in vocabulary])
    return tokenizer
