"""Tables of the spoken form: what a written sign is called."""

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
MONTH_OF = {**{month: month for month in MONTHS}, **{month[:3]: month for month in MONTHS}, "Sept": "September"}

CURRENCY = {  # sign: one, many, one hundredth, hundredths
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
}

SCALES = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion", "bn": "billion"}  # $2.3M

UNITS = {
    "km/h": "kilometers an hour", "km": "kilometers", "m": "meters", "ml": "milliliters", "min": "minutes",
    "TB": "terabytes", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "mg": "milligrams",
    "mph": "miles an hour", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "ft": "feet", "in.": "inches", "yd": "yards",
    "hr": "hours", "hrs": "hours", "sec": "seconds", "kW": "kilowatts", "kWh": "kilowatt hours", "MW": "megawatts",
    "MB": "megabytes", "GB": "gigabytes", "Hz": "hertz", "kHz": "kilohertz",
    "°C": "degrees Celsius", "°F": "degrees Fahrenheit",
}  # fmt: skip

# Written before something else: their stop is never the end of a sentence.
TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Messrs": "Messieurs", "Ms": "Ms", "Dr": "Doctor", "Prof": "Professor",
    "Gen": "General", "Col": "Colonel", "Lt": "Lieutenant", "Capt": "Captain", "Sgt": "Sergeant", "Maj": "Major",
    "Adm": "Admiral", "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Hon": "Honorable",
    "Rev": "Reverend", "Pres": "President", "Mt": "Mount", "Dept": "Department", "vs": "versus",
    "e.g": "for example", "i.e": "that is", "viz": "namely", "cf": "compare", "approx": "approximately",
}  # fmt: skip

# Before a number.
PAGES = {
    "p": "page", "pp": "pages", "Fig": "Figure", "fig": "figure", "Vol": "Volume", "vol": "volume", "Ch": "Chapter",
    "Sec": "Section", "sec": "section", "Art": "Article",
}  # fmt: skip

# These may end a sentence: the stop stays when what follows looks like a new one.
ENDINGS = {
    "etc": "et cetera", "Inc": "Incorporated", "Co": "Company", "Corp": "Corporation", "Ltd": "Limited",
    "Jr": "Junior", "Sr": "Senior", "Bros": "Brothers", "Ave": "Avenue", "Blvd": "Boulevard",
    "inst": "instant", "ult": "ultimo", "Ph.D": "P H D",
}  # fmt: skip

# A Roman numeral after these is an ordinal ("Henry the eighth"), after NUMBERED a number ("World War two").
MONARCHS = (
    "Alexander", "Alfonso", "Benedict", "Catherine", "Charles", "Edward", "Elizabeth", "Ferdinand", "Francis",
    "Frederick", "George", "Gregory", "Henry", "James", "John", "Joseph", "Leo", "Louis", "Mary", "Napoleon",
    "Nicholas", "Paul", "Peter", "Philip", "Pius", "Richard", "Victor", "Wilhelm", "William",
)  # fmt: skip
NUMBERED = (
    "War", "Chapter", "Article", "Part", "Title", "Act", "Section", "Volume", "Book", "Phase", "Type", "Class",
    "Schedule", "Appendix", "Annex", "Bowl", "Model", "Mark", "Level", "Grade",
)  # fmt: skip

SYMBOLS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "°": "degrees", "§": "section", "%": "percent", "×": "times",
    "÷": "divided by", "<": "less than", ">": "greater than", "±": "plus or minus", "¢": "cents", "¶": "paragraph",
    "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen",
}  # fmt: skip
