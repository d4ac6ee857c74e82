"""The vocabulary and tokenizer of the embedded model: one token a character, word pieces for Latin words only.

Order of the ids: five specials, 95 unused, punctuation and symbols, digits, Chinese characters, Latin letters,
emoji, Latin pieces, then the four markers. Traditional characters are folded onto their simplified forms by the
normaliser, character by character, so both are one token and offsets stay those of the text as given.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from core.errors import InputError
from core.training.charsmap import build_charsmap
from core.training.corpus import read_paragraphs

SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
MARKERS = ("[PREFIX]", "[TYPE]", "[CLASSIFY]", "[MULTICLASSIFY]")
UNUSED = tuple(f"[unused{number}]" for number in range(1, 96))
VOCAB_SIZE = 12_800

# Limits by kind; what they leave free of VOCAB_SIZE goes to Latin pieces.
HAN_LIMIT, HAN_MIN_COUNT = 9_000, 3
SYMBOL_LIMIT, SYMBOL_MIN_COUNT = 600, 10
EMOJI_LIMIT, EMOJI_MIN_COUNT = 300, 3
PUNCTUATION = string.punctuation + "、。〈〉《》「」『』【】〔〕〖〗—–…‘’“”·•℃€£¥×÷±≤≥≠→←↑↓■□●○◆◇★☆※√°"

# A character outside a-z stands alone, so no rare neighbour can turn a whole word into [UNK]; a run of letters is
# cut at 100, the longest word WordPiece looks at.
_PIECE = Regex(r"[a-z]{1,100}|[^a-z]")
_LATIN = re.compile(r"[a-z]+")
_CHUNK_CHARS = 4_000_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a corpus holds after normalisation: characters outside a-z, and (damped) Latin words."""

    characters: Counter[str]
    words: Counter[str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`tokens[i]` has id i, the markers come last; `folds` maps traditional characters to single-character tokens."""

    tokens: tuple[str, ...]
    folds: Mapping[str, str]


def normalizer() -> normalizers.Normalizer:
    """NFKC (full width, ㎡, ①), control characters removed, lower case; accents stay."""
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=True)
    return normalizers.Sequence([normalizers.NFKC(), clean])


def gb2312(level: int) -> str:
    """The characters of GB2312 level 1 (3,755, common) or level 2 (3,008, less common)."""
    first, last = (0xB0, 0xD7) if level == 1 else (0xD8, 0xF7)
    rows = (bytes((high, low)) for high in range(first, last + 1) for low in range(0xA1, 0xFF))
    return "".join(row.decode("gb2312", errors="ignore") for row in rows)


def read_simplified() -> dict[str, tuple[str, ...]]:
    """OpenCC's table from one traditional character to its simplified ones, likeliest first.

    Needs the package opencc-python-reimplemented, which only building uses; raises InputError without it.
    """
    try:
        table = resources.files("opencc").joinpath("dictionary", "TSCharacters.txt").read_text("utf-8")
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise InputError("缺少繁简对照表：请先安装 opencc-python-reimplemented，再重新生成词表。") from error
    rows = (line.split("\t") for line in table.splitlines() if "\t" in line)
    return {row[0]: tuple(row[1].split()) for row in rows if len(row[0]) == 1}


def count(texts: Iterable[str]) -> Counts:
    """Count the characters and Latin words of the texts, in chunks, so that any amount of text fits in memory."""
    raw = np.zeros(0x110000, dtype=np.int64)
    words: Counter[str] = Counter()
    for chunk in _chunks(texts):
        codes = np.frombuffer(chunk.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        raw += np.bincount(codes, minlength=len(raw))
        # Square roots, so that words spread over many sources beat words that one manual repeats.
        for word, number in Counter(_LATIN.findall(chunk.lower())).items():
            words[word] += math.isqrt(number)
    characters: Counter[str] = Counter()
    fold = normalizer()
    for code in np.flatnonzero(raw):
        if 0xD800 <= code < 0xE000:  # a lone surrogate is no character
            continue
        for character in fold.normalize_str(chr(code)):
            if not character.isspace() and not "a" <= character <= "z":
                characters[character] += int(raw[code])
    return Counts(characters, words)


def _chunks(texts: Iterable[str]) -> Iterator[str]:
    kept: list[str] = []
    size = 0
    for text in texts:
        kept.append(text)
        size += len(text)
        if size >= _CHUNK_CHARS:
            yield "\n".join(kept)
            kept, size = [], 0
    yield "\n".join(kept)


def build_vocabulary(
    texts: Iterable[str], *, size: int = VOCAB_SIZE, simplified: Mapping[str, tuple[str, ...]] | None = None
) -> Vocabulary:
    """The vocabulary of `size` entries for these texts, plus the markers; `simplified` as in `read_simplified`.

    Holds all of GB2312 whatever the texts are. Raises InputError when `size` is too small for that.
    """
    return select(count(texts), size=size, simplified=simplified)


def select(
    counts: Counts, *, size: int = VOCAB_SIZE, simplified: Mapping[str, tuple[str, ...]] | None = None
) -> Vocabulary:
    """`build_vocabulary` for texts that are counted already."""
    basic = set(gb2312(1) + gb2312(2))
    # A character of GB2312 that is in use in simplified text too (乾, 著) is one of its own forms and stays as it is.
    table = {key: forms for key, forms in (simplified or {}).items() if not (key in basic and key in forms)}
    folded: Counter[str] = Counter()
    for character, number in counts.characters.items():
        folded[_best_form(table.get(character, ()), basic) or character] += number

    punctuation = {c for c in normalizer().normalize_str(PUNCTUATION) if not c.isspace() and not "a" <= c <= "z"}
    rest = [c for c in folded if c not in basic and c not in punctuation and c not in string.digits]
    han = [c for c in rest if is_han(c)]
    emoji = [c for c in rest if is_emoji(c)]
    symbols = [c for c in rest if not is_han(c) and not is_emoji(c)]
    chosen_han = basic.difference(table) | set(_most(han, folded, limit=HAN_LIMIT - len(basic), least=HAN_MIN_COUNT))
    singles = [
        *sorted(punctuation.union(_most(symbols, folded, limit=SYMBOL_LIMIT, least=SYMBOL_MIN_COUNT))),
        *string.digits,
        *sorted(chosen_han),
        *string.ascii_lowercase,
        *(f"##{letter}" for letter in string.ascii_lowercase),
        *sorted(_most(emoji, folded, limit=EMOJI_LIMIT, least=EMOJI_MIN_COUNT)),
    ]
    tokens = [*SPECIALS, *UNUSED, *singles]
    if len(tokens) > size:
        raise InputError(f"词表容量 {size} 太小：单字、符号和特殊标记已有 {len(tokens)} 个，请增大容量。")
    pieces = latin_pieces(counts.words, size - len(tokens))
    if len(pieces) < size - len(tokens):
        # Too few Latin words to fill the table: further unused entries keep the markers at their fixed ids.
        pieces += [f"[unused{number}]" for number in range(96, 96 + size - len(tokens) - len(pieces))]
    tokens += [*pieces, *MARKERS]
    known = set(tokens)
    forms = {key: _best_form(table[key], known) for key in table if key not in known}
    return Vocabulary(tuple(tokens), {key: form for key, form in forms.items() if form})


def _best_form(forms: tuple[str, ...], known: set[str]) -> str:
    return next((form for form in forms if form in known), "")


def _most(characters: list[str], counts: Counter[str], *, limit: int, least: int) -> list[str]:
    """The commonest characters seen at least `least` times, ties by code point."""
    ranked = sorted((c for c in characters if counts[c] >= least), key=lambda c: (-counts[c], c))
    return ranked[:limit]


def is_han(character: str) -> bool:
    """Whether the character is a Chinese ideograph (CJK unified, extensions and compatibility)."""
    code = ord(character)
    return 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF


def is_emoji(character: str) -> bool:
    """Whether the character is a pictograph or changes the look of one."""
    code = ord(character)
    return 0x1F000 <= code <= 0x1FAFF or 0x2600 <= code <= 0x27BF or code == 0xFE0F


def latin_pieces(words: Counter[str], number: int) -> list[str]:
    """The `number` most useful Latin words and `##` pieces of more than one letter, most frequent merges first.

    The trainer breaks ties at random, so two runs may differ in the order of rare pieces.
    """
    if number <= 0 or not words:
        return []
    trainer = trainers.WordPieceTrainer(
        vocab_size=number + 2 * len(string.ascii_lowercase),
        min_frequency=2,
        show_progress=False,
        initial_alphabet=list(string.ascii_lowercase),
        continuing_subword_prefix="##",
    )
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator((" ".join([w] * n) for w, n in sorted(words.items()) if n > 1), trainer)
    ranked = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return [piece for piece, _ in ranked if len(piece.removeprefix("##")) > 1][:number]


def make_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer of a vocabulary: no post-processor, specials and markers as added special tokens."""
    ordinary = vocabulary.tokens[: -len(MARKERS)]
    tokenizer = Tokenizer(models.WordPiece({token: n for n, token in enumerate(ordinary)}, unk_token="[UNK]"))
    steps: list[normalizers.Normalizer] = [normalizer()]
    if vocabulary.folds:
        steps.append(normalizers.Precompiled(build_charsmap(vocabulary.folds)))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(_PIECE, "isolated")]
    )
    added = [AddedToken(token, special=True, normalized=False) for token in (*SPECIALS, *MARKERS)]
    tokenizer.add_special_tokens(added)
    return tokenizer


def write_tokenizer(vocabulary: Vocabulary, directory: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json into the directory, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    make_tokenizer(vocabulary).save(str(directory / "tokenizer.json"))
    names = ("pad_token", "cls_token", "sep_token", "unk_token", "mask_token")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **dict(zip(names, SPECIALS, strict=True)),
        "additional_special_tokens": list(MARKERS),
        "do_lower_case": True,
        "model_max_length": 512,
    }
    text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
    (directory / "tokenizer_config.json").write_text(text, "utf-8")


def describe(vocabulary: Vocabulary, counts: Counts) -> dict[str, float]:
    """Sizes by kind and the shares covered: of GB2312 levels 1 and 2, and of the characters counted."""
    known = {*vocabulary.tokens, *vocabulary.folds}
    total = sum(counts.characters.values())
    return {
        "tokens": len(vocabulary.tokens),
        "han": sum(len(token) == 1 and is_han(token) for token in vocabulary.tokens),
        "emoji": sum(len(token) == 1 and is_emoji(token) for token in vocabulary.tokens),
        "latin_pieces": sum(bool(_LATIN.fullmatch(t.removeprefix("##"))) for t in vocabulary.tokens),
        "folds": len(vocabulary.folds),
        "gb2312_level1": sum(c in known for c in gb2312(1)) / len(gb2312(1)),
        "gb2312_level2": sum(c in known for c in gb2312(2)) / len(gb2312(2)),
        "characters_counted": total,
        "unknown_rate": sum(n for c, n in counts.characters.items() if c not in known) / max(total, 1),
    }


def main() -> None:
    """Build the tokenizer of the embedded model from corpus files."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="corpus files: .txt or .jsonl, plain, .xz or .gz")
    parser.add_argument("--out", type=Path, required=True, help="directory that gets tokenizer.json")
    parser.add_argument("--size", type=int, default=VOCAB_SIZE, help="entries before the four markers")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    counts = count(paragraph for path in args.files for paragraph in read_paragraphs(path))
    vocabulary = select(counts, size=args.size, simplified=read_simplified())
    write_tokenizer(vocabulary, args.out)
    _log.info("%s", json.dumps(describe(vocabulary, counts)))


if __name__ == "__main__":
    main()
