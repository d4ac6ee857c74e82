"""Ids of characters that a tokenizer treats one by one, so that most Chinese text needs no run of the tokenizer.

Checkpoints with a WordPiece vocabulary set Chinese characters, punctuation and often digits apart: their token does
not depend on what stands beside them. Whether that holds for a character is tried out with the tokenizer itself when
the character is first seen. Words between them still go through the tokenizer, and so does every text with a
character that might join others (accents, emoji, kana): only a listed few are known not to.
"""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer, models

FOREIGN, UNSEEN, BOUND = -3, -2, -1  # nothing is known about it; not tried yet; depends on its neighbours
LONGEST_WORD, MOST_WORDS = 64, 8192  # characters of a stretch that is worth remembering; how many are remembered
TRIED = (
    *((0x21, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0x391, 0x3A1), (0x3A3, 0x3A9), (0x3B1, 0x3C9)),
    *((0x2160, 0x217F), (0x2190, 0x22FF), (0x2460, 0x249B), (0x25A0, 0x25FF)),
    *((0x3001, 0x3003), (0x3008, 0x3011), (0x3014, 0x301B), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xFF01, 0xFF20)),
)
TRIED_ALSO = "·×÷°±—‘’“”…′″‰℃～〇•"
WORDS = ((0x09, 0x0A), (0x0D, 0x0D), (0x20, 0x20), (0x41, 0x5A), (0x61, 0x7A), (0x3000, 0x3000), (0xFF21, 0xFF5A))
NEIGHBOURS = ("a", "Z", "9", "字", "，", ".", "-", "(", " ")

Found = tuple[np.ndarray, np.ndarray]


class Characters:
    """Encodes texts by looking their characters up; `usable` is False for tokenizers that are not of the kind."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        added = tokenizer.get_added_tokens_decoder().values()
        # A token that is added but not special is found inside ordinary text.
        self.usable = isinstance(tokenizer.model, models.WordPiece) and all(token.special for token in added)
        self._tokenizer = tokenizer
        self._ids = np.full(2**16, FOREIGN, np.int32)
        for kind, ranges in ((UNSEEN, TRIED), (BOUND, WORDS)):
            for first, last in ranges:
                self._ids[first : last + 1] = kind
        self._ids[[ord(one) for one in TRIED_ALSO]] = UNSEEN
        self._neighbours = [self._run(one)[0].tolist() for one in NEIGHBOURS] if self.usable else []
        self._words: dict[str, Found] = {}

    def encode(self, text: str) -> Found | None:
        """ids (n,) and offsets (n, 2), both int32, as the tokenizer gives them; None where only it can tell."""
        if not self.usable or not text:
            return None
        codes = np.minimum(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32), len(self._ids) - 1)
        ids = self._ids[codes]
        least = ids.min()
        if least == FOREIGN:
            return None
        if least == UNSEEN:
            for code in set(codes[ids == UNSEEN].tolist()):
                self._ids[code] = self._try(chr(code))
            ids = self._ids[codes]
            least = ids.min()
        places = np.empty((len(text), 2), np.int32)
        places[:, 0] = np.arange(len(text))
        places[:, 1] = places[:, 0] + 1
        if least > BOUND:
            return ids, places
        inside = np.zeros(len(text) + 2, bool)
        inside[1:-1] = ids == BOUND
        edges = np.flatnonzero(inside[1:] != inside[:-1]).tolist()
        every, offsets, done = [], [], 0
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            word = text[start:end]
            inner, spots = self._word(word)
            every += [ids[done:start], inner]
            offsets += [places[done:start], spots + np.int32(start)]
            done = end
        return np.concatenate((*every, ids[done:])), np.concatenate((*offsets, places[done:]))

    def _word(self, text: str) -> Found:
        """Of a stretch that depends on itself alone, remembered unless it is long."""
        if (found := self._words.get(text)) is None:
            found = self._run(text)
            if len(text) <= LONGEST_WORD:
                if len(self._words) >= MOST_WORDS:
                    self._words.clear()
                self._words[text] = found
        return found

    def _run(self, text: str) -> Found:
        found = self._tokenizer.encode(text, add_special_tokens=False)
        return np.array(found.ids, np.int32), np.array(found.offsets, np.int32).reshape(-1, 2)

    def _try(self, character: str) -> int:
        """The id of a character that is one token beside every kind of neighbour and leaves that as it is."""
        ids, offsets = self._run(character)
        if offsets.tolist() != [[0, 1]]:
            return BOUND
        own = ids.tolist()
        wanted, text = own * 2, character * 2
        for neighbour, tokens in zip(NEIGHBOURS, self._neighbours, strict=True):
            wanted += tokens + own
            text += neighbour + character
        found, places = self._run(text)
        same = found.tolist() == wanted and all(end - start == 1 for start, end in places.tolist())
        return int(own[0]) if same else BOUND
