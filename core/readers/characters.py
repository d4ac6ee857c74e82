"""How much a text looks like Chinese that somebody wrote: tells two decodings of the same bytes apart."""

from __future__ import annotations

import re
from functools import cache
from itertools import islice

# The 300 most frequent characters of simplified prose, then those of traditional prose that differ.
_FREQUENT = frozenset(
    "的是一不了有在我人中这要以个来大国时可用上好会和他发你能为就多到也生新病出么说肝下们高家治年者还作过对子方行得全动天日现自着"
    "去后心没面如看都小道同地里开机进很体性化重常平实情于那经成定点食前等意血文建想主物果次药三患之手吃理什些而样本所只业分当最加"
    "工压正事使合力问医展服月两外量部查儿更持学应种但代然因间长老表关起近件电救比期系乙话议通感太见与知将打强今保内十已法复她二又并"
    "需总安网活头明再务及检民其提身快胃给目度第产做无怎统特制西疗水联题美口信设觉回数习吗便视或公程院息消从入别功运区共解推此相症饮"
    "央据质才宝东示它增几气直况接把原各己听命带播装门候糖引品何式您阳放员结传真政音党炎名指调买管器状"
    "國為於後時學軍會與發南區北東斯來個世對這經由戰市被立並動利海亞開教長爾內統位德業過現機進馬城稱州至將聯府羅產間當元球拉體電山克"
    "王華界權種島帝義總關朝史灣約兩數議基古著任設路領省員紀士從族達語則改臺黨隊布車尼金運英阿河始科交江四縣受星港場實蘭組向賽選認流"
    "土們台書濟傳萬林首結屬影爭說計變包洲巴格社資皇形漢少術司維造際務擊廣決條米帶報居卡線"
)
_PUNCTUATION = frozenset("，。、；：？！“”‘’「」『』（）《》〈〉【】…—·％￥～　")
_FREQUENT_WEIGHT = 1.0
_COMMON_WEIGHT = 0.6
_SAMPLE = 20_000
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


@cache
def _common() -> frozenset[str]:
    """The everyday halves of two standards: level 1 of GB 2312 (by pronunciation) and of Big5 (by strokes)."""
    simplified = _decode_table(range(0xB0, 0xD8), range(0xA1, 0xFF), encoding="gb2312")
    traditional = _decode_table(range(0xA4, 0xC7), [*range(0x40, 0x7F), *range(0xA1, 0xFF)], encoding="big5")
    return frozenset(simplified + traditional) | _PUNCTUATION


def _decode_table(leads: range, trails: range | list[int], *, encoding: str) -> str:
    return b"".join(bytes((lead, trail)) for lead in leads for trail in trails).decode(encoding, errors="ignore")


def plausibility(text: str) -> float:
    """In [0, 1]: the mean weight of the first 20,000 characters beyond ASCII; 1 when there are none.

    Real Chinese reaches about 0.8, bytes read in the wrong encoding at most about 0.5.
    """
    common = _common()
    total = weight = 0.0
    for match in islice(_BEYOND_ASCII.finditer(text), _SAMPLE):
        character = match.group()
        total += 1
        if character in _FREQUENT:
            weight += _FREQUENT_WEIGHT
        elif character in common:
            weight += _COMMON_WEIGHT
    return weight / total if total else 1.0
