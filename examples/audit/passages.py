"""What the example data set knows: places and things that do not exist, in twelve domains. CC0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """One domain: things with two figures and a name each, and two explanations."""

    name: str
    opening: str
    facts: tuple[tuple[str, str, str], ...]
    """For the two figures and the name: the sentence of the source, the question, and the unit (empty for the name)."""
    things: tuple[tuple[str, str, str, str], ...]
    whys: tuple[tuple[str, str, str, str, str], ...]
    """Question, three statements of the answer, and a mistake that is often made."""


SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "lighthouses",
        "The coast has towers of very different height and age.",
        (
            ("The tower of {0} is {1} metres tall.", "How tall is the tower of {0}, in metres?", "metres"),
            (
                "From {0} the light carries {1} nautical miles.",
                "Over how many nautical miles does the light of {0} carry?",
                "nautical miles",
            ),
            ("The lens of {0} was ground in {1}.", "In which town was the lens of {0} ground?", ""),
        ),
        (
            ("Skarvholm", "34", "19", "Lysby"),
            ("Port Aurel", "27.5", "16", "Montrieux"),
            ("Cape Dunmarra", "52", "24", "Ellerford"),
            ("Ærøsand", "18", "12", "Nordvik"),
            ("Teal Point", "41", "21", "Hamberg"),
            ("Isla Roca", "63", "28", "Valdemora"),
        ),
        (
            (
                "Why were the curtains of the lamp room drawn by day?",
                "sunlight through the lens gathers in one spot",
                "the spot becomes hot enough to start a fire",
                "linen over the panes keeps the beam from forming",
                "the curtains kept the keeper from being seen",
            ),
            (
                "What made the keepers float the lens on mercury?",
                "a heavy lens on rollers turns slowly",
                "liquid metal carries the weight almost without friction",
                "a small clockwork can then turn the lens quickly",
                "mercury made the light brighter",
            ),
        ),
    ),
    Subject(
        "bakeries",
        "Four ovens in the old quarter bake through the night.",
        (
            (
                "{0} keeps its dough for {1} hours before baking.",
                "For how many hours does {0} keep its dough before baking?",
                "hours",
            ),
            ("A loaf from {0} weighs {1} grams.", "What does a loaf from {0} weigh, in grams?", "grams"),
            ("The flour of {0} comes from the mill at {1}.", "Which mill supplies {0} with flour?", ""),
        ),
        (
            ("Ovenhouse Brandt", "14", "850", "Uferau"),
            ("The Copper Peel", "22", "1,200", "Stonewater"),
            ("Panadería Luz", "9", "640", "Riogrande"),
            ("Mother Kessel", "36", "975", "Altmühl"),
            ("Nine Sheaves", "18", "720", "Barrowby"),
            ("Boulangerie Ondine", "27", "400", "Clairval"),
        ),
        (
            (
                "Why does long cold rising give bread more taste?",
                "yeast is slowed by the cold more than the acid bacteria are",
                "the bacteria have time to make acids",
                "the acids and freed sugars are what we taste",
                "cold kills the yeast",
            ),
            (
                "What is the purpose of the steam in the first minutes of baking?",
                "moist air keeps the skin of the loaf soft",
                "the loaf can swell before the crust sets",
                "dissolved starch on the skin later turns glossy",
                "steam cooks the inside faster",
            ),
        ),
    ),
    Subject(
        "bridges",
        "The province counts six bridges that carry both road and rail.",
        (
            (
                "The {0} bridge spans {1} metres without a pier.",
                "How many metres does the {0} bridge span without a pier?",
                "metres",
            ),
            (
                "Trains cross the {0} bridge at {1} km/h at most.",
                "At what highest speed do trains cross the {0} bridge, in km/h?",
                "km/h",
            ),
            ("The engineer of the {0} bridge was {1}.", "Who engineered the {0} bridge?", ""),
        ),
        (
            ("Kessock", "212", "40", "Ada Merlow"),
            ("Vell", "96", "25", "Jonas Ekberg"),
            ("Tamarind", "340", "80", "Priya Chandran"),
            ("Old Weir", "58", "10", "Thomas Airey"),
            ("Saltgate", "175", "60", "Louise Fontenay"),
            ("Hawk's Ferry", "420", "110", "Minh Tran"),
        ),
        (
            (
                "Why do steel bridges have gaps at their ends?",
                "steel grows longer when it is warm",
                "a deck held fast would push against its towers",
                "the gap gives the deck room to move",
                "the gap drains the rain",
            ),
            (
                "How does a truss carry a load with little material?",
                "its bars form triangles that cannot change shape",
                "each bar is only pulled or pressed, never bent",
                "material in the middle of a solid beam would carry almost nothing",
                "the bars are joined so that they can turn freely",
            ),
        ),
    ),
    Subject(
        "orchards",
        "Growers around the lake keep old sorts of apples.",
        (
            (
                "A tree of {0} bears {1} kilograms in a good year.",
                "How many kilograms does a tree of {0} bear in a good year?",
                "kilograms",
            ),
            (
                "{0} keeps for {1} weeks in a cool cellar.",
                "For how many weeks does {0} keep in a cool cellar?",
                "weeks",
            ),
            ("{0} was first grafted by {1}.", "Who first grafted {0}?", ""),
        ),
        (
            ("Lakeside Russet", "85", "22", "Hanna Brook"),
            ("Winter Lantern", "120", "30", "Pieter Maes"),
            ("Duke of Arden", "64", "9", "Rosalind Hay"),
            ("Grey Sister", "47", "26", "Ottilie Krüger"),
            ("Bellflower Gold", "101", "13", "Samuel Finch"),
            ("Amber Crab", "33", "17", "Yuki Tanabe"),
        ),
        (
            (
                "Why are apple sorts kept by grafting?",
                "a seed mixes the traits of two parents",
                "a seedling therefore bears other fruit than its tree",
                "a graft is a part of the same tree and bears the same fruit",
                "seeds of apples do not sprout",
            ),
            (
                "Why do growers thin the young fruit in June?",
                "a tree has sugar for a limited number of apples",
                "too many apples stay small and weaken the buds of next year",
                "those that are left grow large and the tree bears again",
                "thinning keeps birds away",
            ),
        ),
    ),
    Subject(
        "trams",
        "The tram company runs six lines from the harbour.",
        (
            (
                "The {0} line is {1} kilometres long.",
                "What is the length of the {0} line, in kilometres?",
                "kilometres",
            ),
            (
                "A ride on the {0} line from end to end takes {1} minutes.",
                "How many minutes does a ride on the {0} line take from end to end?",
                "minutes",
            ),
            ("The {0} line ends at {1}.", "Where does the {0} line end?", ""),
        ),
        (
            ("Blue", "12.4", "38", "Observatory"),
            ("Orchard", "7.9", "26", "Mill Pond"),
            ("Garrison", "15.3", "44", "Fort Street"),
            ("Coral", "9.1", "29", "Sandgate"),
            ("University", "5.6", "18", "Botanical Hall"),
            ("Foundry", "18.7", "57", "Ironbridge"),
        ),
        (
            (
                "Why does a tram blow sand on the rails?",
                "wet leaves leave a film on the rail",
                "steel wheels slip on such a film",
                "grains of sand break the film and give grip",
                "sand cools the brakes",
            ),
            (
                "What happens to the energy when a modern tram brakes?",
                "its motors work as generators",
                "the current flows back into the overhead wire",
                "another tram nearby can use it",
                "the energy is stored in the rails",
            ),
        ),
    ),
    Subject(
        "observatories",
        "Six mirrors look at the sky from this hemisphere.",
        (
            (
                "The mirror of {0} measures {1} centimetres across.",
                "How many centimetres across is the mirror of {0}?",
                "centimetres",
            ),
            ("{0} has {1} clear nights a year.", "How many clear nights a year does {0} have?", "nights"),
            ("{0} is run by the university of {1}.", "Which university runs {0}?", ""),
        ),
        (
            ("Cerro Alvar", "410", "287", "Santa Inés"),
            ("Mount Tarn", "188", "142", "Kirkdale"),
            ("Blackfell", "95", "61", "Dunmore"),
            ("Aoba Station", "230", "119", "Sendogawa"),
            ("Karoo Dome", "365", "301", "Graafwater"),
            ("Pic Brun", "152", "98", "Aurillette"),
        ),
        (
            (
                "Why do stars twinkle while planets hardly do?",
                "moving air bends light a little to and fro",
                "a star is a single point, so its light is bent as a whole",
                "a planet is a small disc whose points twinkle out of step and even out",
                "planets are too close for the air to matter",
            ),
            (
                "Why are large mirrors cooled before the night?",
                "glass that is warmer than the air heats it",
                "rising warm air blurs the image",
                "a mirror at the temperature of the night leaves the air calm",
                "cold glass reflects more light",
            ),
        ),
    ),
    Subject(
        "potteries",
        "The clay of the valley is fired in six kilns.",
        (
            (
                "The kiln of {0} reaches {1} degrees Celsius.",
                "Which temperature does the kiln of {0} reach, in degrees Celsius?",
                "degrees Celsius",
            ),
            ("One firing at {0} takes {1} hours.", "How many hours does one firing at {0} take?", "hours"),
            ("{0} is known for its {1} glaze.", "For which glaze is {0} known?", ""),
        ),
        (
            ("Redbank", "1,280", "31", "celadon"),
            ("Tanuki Hill", "1,310", "72", "ash-grey"),
            ("Casa Barro", "1,040", "16", "honey"),
            ("Fernley", "1,150", "24", "iron-black"),
            ("Zwart & Zoon", "1,220", "28", "cobalt"),
            ("Amphora Yard", "980", "11", "tin-white"),
        ),
        (
            (
                "Why must clay dry slowly before it is fired?",
                "clay shrinks as water leaves it",
                "a skin that dries first shrinks over a wet core and cracks",
                "slow drying lets inside and outside shrink together",
                "dry clay needs more fuel",
            ),
            (
                "How does salt make a glaze in a hot kiln?",
                "salt thrown into the fire turns to vapour",
                "its sodium joins with the silica of the clay",
                "the two form a thin glass on the pot",
                "the salt melts and runs down the pot",
            ),
        ),
    ),
    Subject(
        "rivers",
        "Six rivers leave the plateau for the inland sea.",
        (
            (
                "The {0} drops {1} metres from its spring to its mouth.",
                "By how many metres does the {0} drop from spring to mouth?",
                "metres",
            ),
            (
                "In spring the {0} carries {1} cubic metres a second.",
                "How many cubic metres a second does the {0} carry in spring?",
                "cubic metres",
            ),
            ("The {0} rises at {1}.", "At which place does the {0} rise?", ""),
        ),
        (
            ("Avel", "742", "310", "Crow Fen"),
            ("Nissa", "1,105", "88", "Glass Tarn"),
            ("Ruvuka", "389", "1,450", "Mbeya Spring"),
            ("Thorne", "268", "37", "Hollow Oak"),
            ("Long Sabre", "933", "204", "Wolf Pass"),
            ("Mirrim", "516", "59", "Three Stones"),
        ),
        (
            (
                "Why does a river dig into the outer bank of a bend?",
                "water on the outside of a bend runs faster",
                "fast water carries soil away",
                "slow water inside drops it, so the bend wanders outwards",
                "the outer bank is always made of softer soil",
            ),
            (
                "Why are floods of a straightened river worse downstream?",
                "a straight bed is shorter and steeper",
                "the water arrives sooner and all at once",
                "without meadows to spread on, the peak stays high",
                "a straight river carries more water over the year",
            ),
        ),
    ),
    Subject(
        "printing",
        "The museum shows six presses that still work.",
        (
            ("The {0} press prints {1} sheets an hour.", "How many sheets an hour does the {0} press print?", "sheets"),
            ("The {0} press weighs {1} kilograms.", "What is the weight of the {0} press, in kilograms?", "kilograms"),
            ("The {0} press was cast by {1}.", "By whom was the {0} press cast?", ""),
        ),
        (
            ("Columbia", "240", "1,350", "Harper & Lowe"),
            ("Eagle", "180", "890", "Whitcombe"),
            ("Schnellpress", "1,100", "2,600", "Gebrüder Rau"),
            ("Minerva", "650", "410", "Cropley"),
            ("Nightingale", "75", "265", "Osei Foundry"),
            ("Titan", "2,400", "5,200", "Marchetti"),
        ),
        (
            (
                "Why is type metal an alloy and not pure lead?",
                "pure lead is soft and shrinks when it sets",
                "antimony hardens it and swells on setting",
                "together they fill the mould sharply and wear slowly",
                "the alloy makes the ink dry faster",
            ),
            (
                "Why does paper have to be damp for a hand press?",
                "damp fibres are soft",
                "they press into the hollows of the type and take more ink",
                "less force then gives an even black",
                "water thins the ink",
            ),
        ),
    ),
    Subject(
        "beekeeping",
        "The village keeps hives in six meadows.",
        (
            (
                "The hives of {0} gave {1} kilograms of honey last year.",
                "How many kilograms of honey did the hives of {0} give last year?",
                "kilograms",
            ),
            ("{0} has {1} hives.", "How many hives has {0}?", "hives"),
            ("The bees of {0} feed mostly on {1}.", "On what do the bees of {0} mostly feed?", ""),
        ),
        (
            ("Church Meadow", "412", "17", "linden"),
            ("Upper Down", "268", "23", "heather"),
            ("Quarry Edge", "133", "6", "sainfoin"),
            ("Mill Garden", "520", "31", "white clover"),
            ("Bishop's Acre", "347", "14", "buckwheat"),
            ("Sunny Bank", "196", "12", "borage"),
        ),
        (
            (
                "How do bees keep the brood warm in winter?",
                "they gather in a dense ball around it",
                "they shiver with the muscles of their wings",
                "outer and inner bees change places, so that none freezes",
                "they burn wax for heat",
            ),
            (
                "Why does honey not spoil?",
                "it holds too little water for germs to grow",
                "sugar draws water out of any cell that falls in",
                "an enzyme leaves traces of peroxide in it",
                "bees seal it without air",
            ),
        ),
    ),
    Subject(
        "archives",
        "Six archives of the region are open to readers.",
        (
            (
                "The shelves of {0} are {1} metres long in all.",
                "How long are the shelves of {0} in all, in metres?",
                "metres",
            ),
            (
                "{0} lends a reading desk for {1} days at most.",
                "For how many days at most does {0} lend a reading desk?",
                "days",
            ),
            ("The oldest charter in {0} concerns {1}.", "What does the oldest charter in {0} concern?", ""),
        ),
        (
            ("the Ducal Archive", "8,400", "5", "a salt tax"),
            ("Abbey Library", "2,150", "3", "a fish pond"),
            ("the Guild House", "930", "2", "a dyers' quarrel"),
            ("Harbour Records", "4,700", "10", "a wrecked cog"),
            ("the Deaf School Archive", "310", "7", "a founding gift"),
            ("Mountain Court", "1,280", "4", "a boundary stone"),
        ),
        (
            (
                "Why does old newsprint turn brown?",
                "cheap paper holds lignin from wood",
                "light and air turn lignin brown",
                "acids set free in the process eat the fibres",
                "the ink spreads through the paper",
            ),
            (
                "Why are archives kept cool and evenly dry?",
                "warmth speeds up the decay of paper",
                "changing moisture makes it swell and shrink until it cracks",
                "above sixty per cent mould begins to grow",
                "cold air holds less dust",
            ),
        ),
    ),
    Subject(
        "salt works",
        "Salt is won from the sea in six basins.",
        (
            ("The basin of {0} covers {1} hectares.", "How many hectares does the basin of {0} cover?", "hectares"),
            ("{0} yields {1} tonnes in a season.", "How many tonnes does {0} yield in a season?", "tonnes"),
            ("The salt of {0} is raked by {1}.", "Who rakes the salt of {0}?", ""),
        ),
        (
            ("Grande Saline", "146", "9,300", "a cooperative"),
            ("Marisma Alta", "82", "4,150", "the Ferreira family"),
            ("Læsø Pans", "3.5", "60", "schoolchildren"),
            ("Cardiff Marsh", "27", "1,380", "hired crews"),
            ("Solana", "210", "12,700", "machines"),
            ("Kish Flats", "58", "2,900", "the harbour guild"),
        ),
        (
            (
                "Why do salters let brine pass through several basins?",
                "lime and gypsum settle first as the brine thickens",
                "each basin keeps what settles at its strength",
                "the last basin then gives nearly pure table salt",
                "several basins make the brine flow faster",
            ),
            (
                "Why is sea salt won on hot windy coasts?",
                "heat and dry wind carry water away",
                "salt settles only when little water is left",
                "rain would thin the brine again",
                "hot coasts have saltier sea",
            ),
        ),
    ),
)
