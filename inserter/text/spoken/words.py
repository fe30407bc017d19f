"""Tables of the spoken form: the words for written signs."""

import re
from collections.abc import Callable, Iterable

Rules = list[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Pairs of a pattern and the replacement that `re.sub` puts in its place."""


def any_of(words: Iterable[str]) -> str:
    """Return a pattern of these words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


# The tables are read by rows. Formatted, each word would take a line.
# fmt: off
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)
MONTH_OF = {**{month: month for month in MONTHS}, **{month[:3]: month for month in MONTHS}, "Sept": "September"}

WEEKDAYS = {
    "Mon": "Monday", "Tues": "Tuesday", "Tue": "Tuesday", "Wed": "Wednesday", "Thurs": "Thursday", "Thur": "Thursday",
    "Thu": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}

_CENT = ("cent", "cents")
_DOLLARS = {
    "A": "Australian", "AU": "Australian", "C": "Canadian", "CA": "Canadian", "HK": "Hong Kong", "NZ": "New Zealand",
    "S": "Singapore", "NT": "New Taiwan",
}
CURRENCY = {  # sign, or code before or after an amount: one, many, one hundredth, hundredths
    "$": ("dollar", "dollars", *_CENT), "US$": ("dollar", "dollars", *_CENT), "$US": ("dollar", "dollars", *_CENT),
    "£": ("pound", "pounds", "penny", "pence"), "€": ("euro", "euros", *_CENT), "¥": ("yen", "yen", "sen", "sen"),
    "CN¥": ("yuan", "yuan", "fen", "fen"), "₹": ("rupee", "rupees", "paisa", "paise"), "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"), "₺": ("lira", "liras", "kurus", "kurus"),
    "₴": ("hryvnia", "hryvnias", "kopeck", "kopecks"), "₦": ("naira", "naira", "kobo", "kobo"),
    "฿": ("baht", "baht", "satang", "satang"), "₫": ("dong", "dong", "xu", "xu"), "₪": ("shekel", "shekels", "agora", "agorot"),
    "₱": ("peso", "pesos", "centavo", "centavos"), "₵": ("cedi", "cedis", "pesewa", "pesewas"),
    "₸": ("tenge", "tenge", "tiyn", "tiyn"), "₡": ("colon", "colones", "centimo", "centimos"),
    "₿": ("bitcoin", "bitcoins", "hundredth", "hundredths"), "R$": ("real", "reais", "centavo", "centavos"),
    "MX$": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    **{f"{letters}$": (f"{name} dollar", f"{name} dollars", *_CENT) for letters, name in _DOLLARS.items()},
    "$A": ("Australian dollar", "Australian dollars", *_CENT), "$NZ": ("New Zealand dollar", "New Zealand dollars", *_CENT),
    "USD": ("U S dollar", "U S dollars", *_CENT), "AUD": ("Australian dollar", "Australian dollars", *_CENT),
    "CAD": ("Canadian dollar", "Canadian dollars", *_CENT), "NZD": ("New Zealand dollar", "New Zealand dollars", *_CENT),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", *_CENT), "SGD": ("Singapore dollar", "Singapore dollars", *_CENT),
    "EUR": ("euro", "euros", *_CENT), "GBP": ("pound", "pounds", "penny", "pence"), "JPY": ("yen", "yen", "sen", "sen"),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"), "CNY": ("yuan", "yuan", "fen", "fen"),
    "RMB": ("yuan", "yuan", "fen", "fen"), "INR": ("Indian rupee", "Indian rupees", "paisa", "paise"),
    "SEK": ("Swedish krona", "Swedish kronor", "ore", "ore"), "NOK": ("Norwegian krone", "Norwegian kroner", "ore", "ore"),
    "DKK": ("Danish krone", "Danish kroner", "ore", "ore"), "PLN": ("zloty", "zlotys", "grosz", "groszy"),
    "CZK": ("Czech koruna", "Czech korunas", "haler", "halers"), "HUF": ("forint", "forints", "filler", "filler"),
    "RUB": ("ruble", "rubles", "kopeck", "kopecks"), "ZAR": ("rand", "rand", *_CENT),
    "BRL": ("real", "reais", "centavo", "centavos"), "MXN": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "KRW": ("won", "won", "jeon", "jeon"), "THB": ("baht", "baht", "satang", "satang"),
    "ILS": ("shekel", "shekels", "agora", "agorot"), "AED": ("dirham", "dirhams", "fils", "fils"),
    "zł": ("zloty", "zlotys", "grosz", "groszy"), "kr": ("krone", "kroner", "ore", "ore"),
    "Rs.": ("rupee", "rupees", "paisa", "paise"), "Rs": ("rupee", "rupees", "paisa", "paise"),
}

# Size letters. After money ($2.3M) all of them count. After a bare number, those of two letters
# count, and those of one letter count in context.
SCALES = {
    **dict.fromkeys(("k", "K"), "thousand"), **dict.fromkeys(("m", "M", "mn", "mln", "MM", "mm"), "million"),
    **dict.fromkeys(("b", "B", "bn", "bln"), "billion"), **dict.fromkeys(("t", "T", "tn", "trn"), "trillion"),
}

UNITS = {
    "km/h": "kilometers an hour", "kph": "kilometers an hour", "mph": "miles an hour", "mpg": "miles per gallon",
    "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "μm": "micrometers", "nm": "nanometers",
    "kg": "kilograms", "g": "grams", "mg": "milligrams", "μg": "micrograms", "mcg": "micrograms",
    "L": "liters", "l": "liters", "dL": "deciliters", "ml": "milliliters", "mL": "milliliters", "cc": "cubic centimeters",
    "lb": "pounds", "lbs": "pounds", "oz": "ounces", "gal": "gallons", "tsp": "teaspoons", "tbsp": "tablespoons",
    "ft": "feet", "in.": "inches", "yd": "yards", "yds": "yards", "mi": "miles", "ha": "hectares",
    "qt": "quarts", "qts": "quarts",
    "kbit/s": "kilobits per second", "Mbit/s": "megabits per second", "Gbit/s": "gigabits per second",
    "sq ft": "square feet", "sq km": "square kilometers", "sq mi": "square miles", "sq m": "square meters",
    "cu ft": "cubic feet", "fl oz": "fluid ounces",
    "yr": "years", "yrs": "years", "hr": "hours", "hrs": "hours", "h": "hours",
    "min": "minutes", "mins": "minutes", "sec": "seconds", "secs": "seconds",
    "ms": "milliseconds", "μs": "microseconds", "ns": "nanoseconds",
    "W": "watts", "kW": "kilowatts", "MW": "megawatts", "GW": "gigawatts", "kWh": "kilowatt hours", "MWh": "megawatt hours",
    "GWh": "gigawatt hours", "TWh": "terawatt hours", "V": "volts", "kV": "kilovolts", "mA": "milliamps",
    "mAh": "milliamp hours", "Ω": "ohms", "kΩ": "kilohms", "dB": "decibels", "kJ": "kilojoules", "kcal": "kilocalories",
    "Pa": "pascals", "kPa": "kilopascals", "hPa": "hectopascals", "psi": "pounds per square inch", "mol": "moles",
    "mmol": "millimoles", "hp": "horsepower", "rpm": "revolutions per minute", "bpm": "beats per minute",
    "fps": "frames per second", "ppm": "parts per million",
    "KG": "kilograms", "KM": "kilometers", "LBS": "pounds", "MPH": "miles an hour", "mbps": "megabits per second",
    "KB": "kilobytes", "kB": "kilobytes", "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes", "PB": "petabytes",
    "GiB": "gibibytes", "MiB": "mebibytes", "kbps": "kilobits per second", "Mbps": "megabits per second",
    "Gbps": "gigabits per second", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
    "THz": "terahertz", "°C": "degrees Celsius", "°F": "degrees Fahrenheit", "°": "degrees",
}

# Words after a slash: $5/mo, 12 mg/dL. `quantities` adds the units in the singular.
PER = {
    "s": "second", "mo": "month", "yr": "year", "wk": "week", "d": "day", "t": "ton", "bbl": "barrel", "sqft": "square foot",
    "in": "inch", **{name: name for name in ("day", "week", "month", "year", "hour", "minute", "person")},
}

# Words that often begin a sentence: "on Elm St. It was", "of George V. The king".
STARTERS = (
    "The", "He", "She", "It", "In", "His", "Her", "They", "A", "An", "But", "And", "This", "That", "These", "When", "After",
    "At", "On",
    "As", "We", "There", "For", "To", "From", "By", "With", "Its", "Their", "Then", "So", "If", "You",
)

# Abbreviations before another word. Their stop never ends a sentence.
TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Messrs": "Messieurs", "Ms": "Ms", "Dr": "Doctor", "Prof": "Professor",
    "Gen": "General", "Col": "Colonel", "Lt": "Lieutenant", "Capt": "Captain", "Sgt": "Sergeant", "Maj": "Major",
    "Adm": "Admiral", "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Hon": "Honorable",
    "Rev": "Reverend", "Pres": "President", "Mt": "Mount", "Dept": "Department", "vs": "versus",
    "e.g": "for example", "i.e": "that is", "viz": "namely", "cf": "compare", "approx": "approximately",
    "Drs": "Doctors", "Sens": "Senators", "Reps": "Representatives", "Gens": "Generals", "Profs": "Professors", "Cpl": "Corporal",
    "Pvt": "Private", "Cmdr": "Commander", "Supt": "Superintendent", "Amb": "Ambassador", "Atty": "Attorney", "Ft": "Fort",
    "Univ": "University", "dept": "department", "incl": "including", "excl": "excluding", "eds": "editors",
}

# Abbreviations before a number.
PAGES = {
    "p": "page", "pp": "pages", "Fig": "Figure", "fig": "figure", "Vol": "Volume", "vol": "volume", "Ch": "Chapter",
    "Sec": "Section", "sec": "section", "Art": "Article", "Nos": "numbers", "nos": "numbers", "No": "number", "no": "number",
    "ch": "chapter", "para": "paragraph", "paras": "paragraphs", "Para": "Paragraph", "Op": "Opus",
    "Eq": "Equation", "eq": "equation",
    "Eqs": "Equations", "Bldg": "Building", "Ste": "Suite", "Apt": "Apartment", "Rm": "Room", "Rte": "Route", "Hwy": "Highway",
    "Tel": "Telephone", "tel": "telephone", "Ext": "Extension", "ext": "extension", "avg": "average", "max": "maximum",
    "Pt": "Part", "Chs": "Chapters", "chs": "chapters", "Figs": "Figures", "figs": "figures", "Vols": "Volumes", "vols": "volumes",
}

# Abbreviations that may end a sentence. The stop stays when a new sentence seems to follow.
ENDINGS = {
    "etc": "et cetera", "Inc": "Incorporated", "Co": "Company", "Corp": "Corporation", "Ltd": "Limited",
    "Jr": "Junior", "Sr": "Senior", "Bros": "Brothers", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane",
    "Pkwy": "Parkway", "Assn": "Association", "Mfg": "Manufacturing", "Hts": "Heights",
    "inst": "instant", "ult": "ultimo", "Ph.D": "P H D",
}

# A Roman numeral after these names is an ordinal: "Henry the eighth".
MONARCHS = (
    "Adolf", "Albert", "Alexander", "Alexios", "Alfonso", "Alphonse", "Amadeus", "Amenhotep", "Andrew", "Anne", "Antiochus",
    "Baldwin", "Basil", "Benedict", "Boniface", "Carl", "Carol", "Casimir", "Catherine", "Charles", "Christian", "Clement",
    "Constantine", "Cyrus", "Darius", "David", "Edmund", "Edward", "Elizabeth", "Eric", "Eugene", "Ferdinand", "Francis",
    "Frank", "Franz", "Frederick", "Friedrich", "George", "Gregory", "Gustav", "Haakon", "Harald", "Harold", "Henri", "Henry",
    "Innocent", "Isabella", "Ivan", "James", "Jan", "Joan", "John", "Joseph", "Josef", "Juan", "Julius", "Justinian", "Karl",
    "Leo", "Leopold", "Louis", "Ludwig", "Manuel", "Margaret", "Margrethe", "Maria", "Martin", "Mary", "Matthew",
    "Maximilian", "Mehmed", "Michael", "Murad", "Napoleon", "Nicholas", "Olaf", "Olav", "Otto", "Paul", "Pedro", "Peter",
    "Philip", "Philippe", "Pius", "Ptolemy", "Rama", "Ramesses", "Ramses", "Richard", "Robert", "Rudolf", "Selim",
    "Sigismund", "Sixtus", "Stephen", "Suleiman", "Theodosius", "Thomas", "Thutmose", "Umberto", "Urban", "Victor",
    "Vittorio", "Walter", "Wilhelm", "William", "Xerxes",
)
RULERS = (
    "King", "Queen", "Pope", "Emperor", "Empress", "Tsar", "Czar", "Tsarina", "Sultan", "Pharaoh", "Kaiser", "Shah", "Prince",
    "Princess", "Duke", "Archduke", "Patriarch",
)

# A Roman numeral after these words is a number: "World War two". The value lists the single letters
# of I, V, X and L that are numbers there too. Where parts also go by letters ("Type C", "Model X"),
# a single letter is that letter. C, D and M are always letters.
NUMBERED = {
    "Chapter": "IVXL", "Canto": "IVXL", "Psalm": "IVXL", "Sonnet": "IVXL", "Bowl": "IVXL", "Book": "IVX", "Volume": "IVX",
    "Act": "IVX", "Scene": "IVX", "Title": "IVX", "Article": "IVX", "Part": "IVX", "Section": "IVX", "Phase": "IVX",
    "Mark": "IVX", "Annex": "IVX", "Factor": "IVX", "War": "IVX", "Amendment": "IVX", "Schedule": "IVX", "Episode": "IVX",
    "Olympiad": "IVX", "Grade": "IVX", "Figure": "IV", "Table": "IVX", "Type": "IV", "Class": "IV", "Stage": "IV", "Level": "IV",
    "Category": "IV", "Group": "IV", "Appendix": "IV", "Tier": "IV", "Division": "IV", "Saturn": "IV", "Rocky": "IV",
    "Fantasy": "IVX", "Auto": "IV", "GTA": "IV", "OS": "X", "iPhone": "X", "Model": "", "Page": "", "Vol.": "IVX", "Ch.": "IVX",
}

# A number of three or four digits after these words is a name, which is read in pairs: "Boeing
# seven forty-seven", "room two oh four".
NAMED = (
    "Boeing", "Airbus", "Route", "Highway", "Hwy", "Hwy.", "Interstate", "Flight", "flight", "Room", "room", "Suite", "suite",
    "Apartment", "apartment", "Resolution", "Proposition", "Prop", "Form", "Area", "Fahrenheit", "RTX", "GTX", "Section", "Pier",
    "Extension", "extension", "Unit", "Locker", "Rm.", "Apt.",
)
# In a version of these programs, the part after a point is a number: "Python three point eleven".
SOFTWARE = (
    "CPython", "PyPy", "Python", "Ubuntu", "Debian", "Android", "iOS", "macOS", "Linux", "Windows", "Java", "Node", "Ruby",
    "PHP", "Perl", "Go",
    "CUDA",
    "PyTorch", "TensorFlow", "Kubernetes", "Django", "Rails", "Swift", "Chrome", "Firefox", "PostgreSQL", "MySQL", "Fedora",
)
STATES = (  # of the USA, as a pattern
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]"
)
STREETS = (
    "Street", "St", "Avenue", "Ave", "Road", "Rd", "Drive", "Dr", "Lane", "Ln", "Boulevard", "Blvd", "Court", "Ct", "Terrace",
    "Place", "Way", "Square", "Parkway", "Pkwy", "Circle", "Highway",
)

SYMBOLS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "°": "degrees", "§": "section", "%": "percent", "×": "times",
    "÷": "divided by", "<": "less than", ">": "greater than", "±": "plus or minus", "¢": "cents", "¶": "paragraph",
    "≈": "approximately", "≤": "less than or equal to", "≥": "greater than or equal to", "≠": "not equal to",
    "√": "square root of", "∞": "infinity", "‰": "per mille", "→": "to", "−": "minus",
    **{sign: many for sign, (_, many, _, _) in CURRENCY.items() if len(sign) == 1},
}
