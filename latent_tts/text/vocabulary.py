"""Word lists of the English normaliser: what is written, and how it is said."""

from __future__ import annotations

MONTHS = (
    "January February March April May June July August September October November December"
).split()  # fmt: skip

# Abbreviations that end in a full stop, which is no end of a sentence when a word follows.
ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "messrs": "messers", "dr": "doctor", "prof": "professor",
    "rev": "reverend", "hon": "honorable", "gen": "general", "col": "colonel", "maj": "major",
    "capt": "captain",
    "lt": "lieutenant", "sgt": "sergeant", "cpl": "corporal", "adm": "admiral", "gov": "governor",
    "sen": "senator", "rep": "representative", "pres": "president", "jr": "junior", "sr": "senior",
    "mt": "mount", "ft": "fort", "ave": "avenue", "blvd": "boulevard", "rd": "road", "rm": "room", "hwy": "highway",
    "dept": "department", "univ": "university", "inc": "incorporated", "ltd": "limited", "co": "company",
    "corp": "corporation", "bros": "brothers", "assn": "association", "vs": "versus",
    "approx": "approximately",
    "est": "established", "etc": "et cetera", "vol": "volume", "fig": "figure", "figs": "figures",
    "ch": "chapter", "sec": "section", "ed": "edition", "ext": "extension", "tel": "telephone",
    "jan": "January", "feb": "February", "mar": "March", "apr": "April", "aug": "August", "sept": "September",
    "sep": "September", "oct": "October", "nov": "November", "dec": "December", "mon": "Monday",
    "tues": "Tuesday", "wed": "Wednesday", "thurs": "Thursday", "fri": "Friday", "al": "al", "cf": "compare",
}  # fmt: skip
# Of these only the capitalised form is an abbreviation.
CAPITAL_ONLY = frozenset(
    "hon gen col maj adm gov sen rep pres mt ft ed mar mon wed fri co dec sec ch rev sep oct "
    "nov jan feb apr aug".split()
)
# After these a full stop does not end a sentence.
NO_SENTENCE_END = frozenset(
    "mr mrs ms messrs dr prof rev hon gen col maj capt lt sgt cpl adm gov sen rep pres mt ft st vs approx "
    "est vol "
    "fig figs ch ext tel jan feb mar apr aug sept sep oct nov dec cf".split()
)
# Abbreviations read as such without their full stop, before a capital.
TITLES = "Mr|Mrs|Ms|Dr|St|Prof|Jr|Sr"
PHRASES = {"e.g.": "for example", "i.e.": "that is", "n.b.": "note well", "a.k.a.": "also known as"}
# Words that begin a sentence more often than they follow "U.S." or "p.m." within one.
SENTENCE_STARTERS = (
    "The He She It They We I You But And So In On At This That These Those There When While If As For After "
    "Before His Her Their My Our Then Now However What Who Why How"
).split()

CURRENCIES = {  # sign or code: (one, many, a hundredth, hundredths)
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "¢": ("cent", "cents", "", ""),
    "USD": ("U-S dollar", "U-S dollars", "cent", "cents"),
    "US$": ("U-S dollar", "U-S dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "JPY": ("yen", "yen", "sen", "sen"),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
}
SCALES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "b": "billion",
    "B": "billion", "bn": "billion", "tn": "trillion", "T": "trillion",
}  # fmt: skip

_PREFIXES = {
    "": "",
    "k": "kilo",
    "M": "mega",
    "G": "giga",
    "T": "tera",
    "m": "milli",
    "c": "centi",
    "μ": "micro",
}
_METRIC = {  # unit: (its prefixes, its name)
    "m": (" k c m μ", "meter"), "g": (" k m μ", "gram"), "l": (" m c", "liter"), "L": (" m", "liter"),
    "W": (" k M G m", "watt"),
    "Wh": (" k M G", "watt hour"), "V": (" k m", "volt"), "Hz": (" k M G T", "hertz"),
    "B": ("k M G T", "byte"), "b": ("k M G", "bit"), "Pa": (" k M", "pascal"), "J": (" k M", "joule"),
    "N": (" k", "newton"), "s": ("m μ", "second"), "cal": (" k", "calorie"),
    "t": ("", "ton"), "A": ("m", "ampere"),
}  # fmt: skip
UNITS = {  # as written: name of one
    **{prefix + unit: _PREFIXES[prefix] + name for unit, (prefixes, name) in _METRIC.items()
       for prefix in prefixes.split(" ")},
    "KB": "kilobyte", "Kb": "kilobit", "s": "second", "sec": "second", "secs": "second", "h": "hour",
    "hr": "hour",
    "hrs": "hour", "min": "minute", "mins": "minute", "ft": "foot", "yd": "yard", "yds": "yard", "mi": "mile",
    "lb": "pound", "lbs": "pound", "oz": "ounce", "gal": "gallon", "qt": "quart", "pt": "pint",
    "ha": "hectare",
    "mph": "mile per hour", "kph": "kilometer per hour", "km/h": "kilometer per hour",
    "rpm": "turn per minute",
    "m/s": "meter per second", "bpm": "beat per minute", "fps": "frame per second", "dpi": "dot per inch",
    "kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second", "dB": "decibel",
    "MB/s": "megabyte per second", "px": "pixel", "kmh": "kilometer per hour",
    "°C": "degree Celsius", "°F": "degree Fahrenheit", "°": "degree", "C°": "degree Celsius", "%": "percent",
    "‰": "per mille", "MP": "megapixel", "hp": "horsepower",
}  # fmt: skip
UNCHANGING = frozenset(("percent", "per mille", "hertz", "kilohertz", "megahertz", "gigahertz", "terahertz",
                        "horsepower", "kelvin"))  # fmt: skip

SYMBOLS = {
    "&": "and", "@": "at", "#": "hash", "+": "plus", "=": "equals", "%": "percent", "°": "degrees",
    "±": "plus or minus", "×": "times", "÷": "divided by", "≈": "approximately", "≠": "is not equal to",
    "≤": "is at most", "≥": "is at least", "→": "to", "§": "section", "©": "copyright", "√": "square root of",
    "∞": "infinity", "μ": "mu", "‰": "per mille", "\\": "backslash", "∑": "sum", "∫": "integral",
    "$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee", "₩": "won", "₽": "ruble",
    "¢": "cents",
}  # fmt: skip
# What the parts of an address between its words are called.
ADDRESS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "%": "percent", "~": "tilde", "+": "plus",
}  # fmt: skip
DOMAINS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|co|uk|de|fr|eu|ca|au|jp|dev|app|tv|ly|gg|fm|xyz|tech|online"
)
FILES = (
    "html?|php|pdf|txt|docx?|xlsx?|pptx?|csv|json|xml|ya?ml|zip|gz|tar|exe|py|js|ts|css|jpe?g|png|gif|svg|mp3|mp4"
    "|wav|flac"
)
SHORT_WORDS = frozenset(
    "go me my we us co to in on at is it of or so up no do be by he if as am an ox ad hi oh".split()
)

GREEK = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
    "upsilon phi chi psi omega"
).split(), strict=True), **{"ς": "sigma"})  # fmt: skip

FRACTIONS = {"2": ("half", "halves"), "4": ("quarter", "quarters")}  # denominators that are not ordinals

# Names of rulers and popes: a Roman numeral after one of them is an ordinal.
RULERS = (
    "Henry Louis George Elizabeth Charles James William Edward Richard John Paul Pius Benedict Leo "
    "Gregory Clement "
    "Innocent Boniface Urban Alexander Nicholas Napoleon Catherine Ramses Rameses Philip Ferdinand "
    "Frederick Wilhelm "
    "Franz Francis Joseph Peter Ivan Mary Anne Victoria Gustav Gustavus Carl Christian Haakon Olaf Olav "
    "Harald Otto "
    "Darius Xerxes Ptolemy Constantine Theodosius Justinian Mehmed Selim Murad Malcolm David Robert "
    "Alfonso Juan "
    "Carlos Felipe Umberto Emmanuel Emanuel Sixtus Julius Adrian Stephen Margaret Isabella Rudolf Leopold "
    "Maximilian"
).split()
# Words before a Roman numeral that is a plain number.
NUMBERED = (
    "Chapter Part Book Volume Section Act Scene Article Appendix Phase Type Class War Title Level Grade "
    "Canto Bowl "
    "Unit Lesson Stage Psalm Sonnet Symphony Opus Episode Season Series Page Table Figure Vol Ch Verse Mark"
).split()

# Initialisms said as words (all others without a vowel, or with at most three letters, are spelled out).
ACRONYMS = frozenset((
    "AIDS ASEAN BIOS CAPTCHA COVID DARPA DOS FEMA FIFA GIF GUI HIPAA IKEA ISIS JPEG JSON LAN LASER MERS "
    "MIDI NAFTA NASA NASDAQ NATO OPEC OSHA PIN POTUS RADAR RAM ROM SARS SAT SCOTUS SCUBA SIM SONAR SWAT "
    "UEFA UNESCO UNICEF VAT VIN WAN YAML ZIP"
).split())  # fmt: skip
# Initialisms that are spelled out although they look like words.
SPELLED = frozenset((
    "AARP AC ACLU AFAIK AI AM API ATM BBC CAD CEO CIA CIO CPU DC DNA EEOC EKG EPA ESPN ETA EU EULA FAQ "
    "FBI GPA GPU HTML HTTP HTTPS IBM ICBM ID IEEE IMDB IOU IP IQ IRA IRS ISBN IT IUD LED MIT MRI NAACP "
    "NBA NFL NHL NPR OECD OS PBS PHD PM POW RIP RNA ROI SATB SOS SUV TV UAE UCLA UEFI UFO UI UK UKIP UN "
    "UNHCR UPS URL US USA USAF USB USC USDA USMC USPS USSR VIP VOA WHO YMCA YWCA"
).split())  # fmt: skip
# Initialisms that are common words when a whole sentence is in capitals.
AMBIGUOUS = frozenset("AM IT US WHO OS LED PIN RAM SAT VAT CAD POW RIP IRA DOS ISIS AIDS ZIP VAN".split())
# Titles that espeak knows how to say.
LOUD_TITLES = frozenset("MR MRS DR ST JR SR".split())
# Sounds without a vowel letter that people make.
SOUNDS = frozenset("HM HMM HMMM SH SHH SHHH PSST BRR BRRR GRR GRRR TSK PFFT ZZZ MM MMM NTH".split())
# Short words that people write in capitals for emphasis.
CAPITAL_WORDS = frozenset((
    "A I AH AN AS AT BE BY DO GO HA HE HI HO IF IN IS ME MY NO OF OH OK ON OR OW SO TO UP WE ACT ADD "
    "AGE AGO AID AIM AIR ALL AMY AND ANN ANY ARE ARM ART ASK BAD BAG BAR BAY BED BEN BET BIG BIT BOB "
    "BOX BOY BUT BUY CAN CAR CAT COW CRY CUE CUP CUT DAD DAN DAY DID DIE DOG DRY DUE EAR EAT EGG END "
    "ERA EVE EYE FAN FAR FAT FEE FEW FIT FIX FLY FOR FUN GAS GET GOD GOT GUN GUY HAD HAS HAT HER HEY "
    "HIM HIS HIT HOT HOW ICE ITS JIM JOB JOE JOY KEY KID LAD LAP LAW LAY LEE LEG LET LID LIE LIP LOG "
    "LOT LOW MAD MAN MAP MAX MAY MEN MOM MRS MUM NAH NET NEW NIT NOR NOT NOW NUT OAK ODD OFF OIL OLD "
    "ONE OUR OUT OWN PAN PAT PAY PEN PET PIE PIG PIT POT PUT RAN RAT RAW RAY RED RIB ROB ROD RON ROW "
    "ROY RUB RUN SAD SAM SAW SAY SEA SEE SET SHE SIN SIR SIT SIX SKY SON SUE SUN TAP TAX TEA TEN THE "
    "TIE TIM TIP TOE TOM TON TOO TOP TOY TRY TWO USE VAN VIA WAR WAS WAY WEB WET WHY WIN WIT WON WOW "
    "YEA YEN YEP YES YET YOU ZOO"
).split())  # fmt: skip

# Characters that are read as another one, beside those that Unicode's NFKC maps.
LIKE = {
    **dict.fromkeys("‘’‚‛′ʼ`´", "'"),
    **dict.fromkeys("“”„‟«»″‹›", '"'),
    **dict.fromkeys("‐‑‒−﹘﹣", "-"),
    **dict.fromkeys("―⸺⸻", "—"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("、", ","), **dict.fromkeys("。", "."), **dict.fromkeys("•‣▪●", ";"),
}  # fmt: skip
# Words that begin with an apostrophe.
ELIDED = frozenset("em tis twas til cause bout round cos n".split())
