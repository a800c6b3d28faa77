"""The English words that the matcher's rules go by: how phrases begin, join and end, not what they name."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


MARKS = frozenset(",().")
ARTICLES = word_set("a an the this that these those")
COPULAS = word_set(
    """
    is are was be shows show depicts features contains displays presents captures illustrates resembles
    see called named guess say like identified classified labeled identify recognize observe choose
    """
)
_RELATIVES = word_set("that which who whose where when while because since as so though although")
STOPS = _RELATIVES | word_set(
    """
    with without in on at by near next beside behind under over above below against inside outside from
    for to of into onto through between among around along across during before after toward towards
    beneath atop upon amid amidst via is are was has have had sits stands lies rests hangs runs eats
    looks appears can worn held seen made set shown placed caught sat if but however than outdoors
    indoors asleep alone here there
    """
)
NEGATIONS = word_set("not no never neither nor instead rather unlike nothing")
LEADING = (
    ARTICLES
    | COPULAS
    | STOPS
    | word_set(
        """
    it they he she i we you can could may might must would should will seems seem appear look to likely
    probably possibly maybe perhaps definitely certainly clearly most very quite just simply only sure
    well yes okay ok hello hi think believe my your its their his her our some several many few various
    one two three four five six multiple single either both what there specifically namely actually
    being known also commonly eg ie or and even more precisely exactly best main primary central
    prominent
    """
    )
)
APPOSITIONS = ("aka", "known", "called", "named", "namely", "specifically")
"""What follows is another name."""
FRAMES = word_set(
    """
    image picture photo photograph photography type kind species breed sort variety form pair group herd
    flock couple bunch number lot view shot closeup up close piece slice portrait drawing illustration
    painting sketch example instance set row pile stack part collection cluster model member
    silhouette outline depiction representation rendering render cartoon graphic clipart screenshot scan
    snapshot glimpse reflection profile front back rear side face interior exterior inside outside
    """
)
"""Before "of": what is meant comes after it."""
MEASURES = word_set(
    """
    swarm school pack troop litter pride gaggle colony bouquet cluster batch crowd team
    scoop head loaf roll tube sheet bale bar jar bowl cup glass plate dish bottle mug can box bag packet
    carton basket bucket tray pot mound heap handful dollop spoonful serving portion chunk strip stick cob
    field patch sprig stalk ear string
    """
)
"""Before "of" and a class: the class is meant, though the word may be one itself ("a cup of espresso")."""
COLORS = word_set(
    """
    black white gray brown red orange yellow green blue purple pink gold golden silver tan cream beige
    """
)
TRANSPARENT = word_set(
    """
    breed species variety type family animal plant object image photo picture puppy puppies pup kitten
    kittens cub cubs chick chicks calf foal hatchling baby adult male female specimen device machine
    vehicle class category genus sp spp closeup
    """
)
"""After a name: it is still that."""
YOUNG = {
    "puppy": "dog",
    "pup": "dog",
    "doggy": "dog",
    "doggie": "dog",
    "kitten": "cat",
    "kitty": "cat",
    "birdie": "bird",
}
