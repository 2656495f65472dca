"""Which language a text is in, among those that PostgreSQL can stem. Decided by the small words that every text has."""

import re
from collections import Counter
from typing import Final

NONE: Final = "simple"
"""No language that we know: words are taken as they are."""

_SMALL: Final[dict[str, str]] = {
    "danish": "og af det ikke som til er en at på med har ikke også eller blev denne kan skal være når ved hvis fra der den",
    "dutch": "de het een van en is niet dat zijn voor met ook wordt worden deze naar maar bij kan moet als uit door hebben",
    "english": "the and of to is that for with this are not be it on as was by or from an have which can will should when",
    "finnish": "ja on ei että se tämä ovat olla kun mutta tai joka sekä voi myös ole oli niin kuin mukaan jos hän myös",
    "french": "le la les des et est une que pour dans qui sur pas avec ce sont par plus aux cette être nous ou mais doit",
    "german": "der die das und ist nicht ein eine von mit den zu für auf wird werden dem sich auch als bei oder dass kann",
    "hungarian": "a az és hogy nem egy van meg ez azt csak már mint vagy volt lehet kell ezt ha is minden során által",
    "italian": "il di che la e per non un una sono con del della le gli nel alla questo anche come più essere viene dei",
    "norwegian": "og det ikke som til er en av på med har også eller ble denne kan skal være når ved hvis fra der vi etter",
    "portuguese": "o que de não uma para com os da do em é por mais como mas dos das ser são pelo pela também deve foi ao",
    "romanian": "și în de la nu un o este care pentru cu mai din pe sunt fi se prin acest această sau dar după trebuie",
    "russian": "и в не на что по это для как из к от за или при но мы все так может быть если когда был также",
    "spanish": "el la de que y en los del las un por con no una su para es al lo como más pero sus este son está ser se",
    "swedish": "och det att som en är av för på med inte har till den ett om kan ska eller när från vid så men detta",
    "turkish": "ve bir bu için ile da de olarak daha çok olan gibi en ne kadar değil var sonra veya ancak her ise ki",
}
SPOKEN: Final = (*_SMALL, NONE)
"""Every language that a chunk can have; each is a text search configuration of PostgreSQL."""

_VOCABULARY: Final = {language: frozenset(words.split()) for language, words in _SMALL.items()}
_WORD: Final = re.compile(r"[^\W\d_]+")
_READ: Final = 20_000
_FEWEST: Final = 3
_SHARE: Final = 0.06


def language_of(text: str) -> str:
    """Returns the language whose small words are the most, and `simple` when there are too few of any."""
    words = Counter(_WORD.findall(text[:_READ].lower()))
    total = sum(words.values())
    found = {language: sum(words[word] for word in small) for language, small in _VOCABULARY.items()}
    best = max(found, key=lambda language: found[language])
    return best if found[best] >= max(_FEWEST, total * _SHARE) else NONE
