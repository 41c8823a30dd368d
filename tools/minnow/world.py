"""The checkable little world: every fact minnow is taught, and nothing else.

Written by hand. Where a country has more than one capital the constitutional
or most commonly named one is given; where it lies on two continents the one
most commonly named is given.
"""


def _table(text):
    return [tuple(p.strip() for p in line.split("|")) for line in text.strip().splitlines()]


# country | capital | continent
COUNTRIES = _table("""
Afghanistan|Kabul|Asia
Albania|Tirana|Europe
Algeria|Algiers|Africa
Andorra|Andorra la Vella|Europe
Angola|Luanda|Africa
Antigua and Barbuda|Saint John's|North America
Argentina|Buenos Aires|South America
Armenia|Yerevan|Asia
Australia|Canberra|Oceania
Austria|Vienna|Europe
Azerbaijan|Baku|Asia
the Bahamas|Nassau|North America
Bahrain|Manama|Asia
Bangladesh|Dhaka|Asia
Barbados|Bridgetown|North America
Belarus|Minsk|Europe
Belgium|Brussels|Europe
Belize|Belmopan|North America
Benin|Porto-Novo|Africa
Bhutan|Thimphu|Asia
Bolivia|Sucre|South America
Bosnia and Herzegovina|Sarajevo|Europe
Botswana|Gaborone|Africa
Brazil|Brasilia|South America
Brunei|Bandar Seri Begawan|Asia
Bulgaria|Sofia|Europe
Burkina Faso|Ouagadougou|Africa
Burundi|Gitega|Africa
Cambodia|Phnom Penh|Asia
Cameroon|Yaounde|Africa
Canada|Ottawa|North America
Cape Verde|Praia|Africa
the Central African Republic|Bangui|Africa
Chad|N'Djamena|Africa
Chile|Santiago|South America
China|Beijing|Asia
Colombia|Bogota|South America
the Comoros|Moroni|Africa
Costa Rica|San Jose|North America
Croatia|Zagreb|Europe
Cuba|Havana|North America
Cyprus|Nicosia|Europe
the Czech Republic|Prague|Europe
the Democratic Republic of the Congo|Kinshasa|Africa
Denmark|Copenhagen|Europe
Djibouti|Djibouti|Africa
Dominica|Roseau|North America
the Dominican Republic|Santo Domingo|North America
East Timor|Dili|Asia
Ecuador|Quito|South America
Egypt|Cairo|Africa
El Salvador|San Salvador|North America
Equatorial Guinea|Malabo|Africa
Eritrea|Asmara|Africa
Estonia|Tallinn|Europe
Eswatini|Mbabane|Africa
Ethiopia|Addis Ababa|Africa
Fiji|Suva|Oceania
Finland|Helsinki|Europe
France|Paris|Europe
Gabon|Libreville|Africa
the Gambia|Banjul|Africa
Georgia|Tbilisi|Asia
Germany|Berlin|Europe
Ghana|Accra|Africa
Greece|Athens|Europe
Grenada|Saint George's|North America
Guatemala|Guatemala City|North America
Guinea|Conakry|Africa
Guinea-Bissau|Bissau|Africa
Guyana|Georgetown|South America
Haiti|Port-au-Prince|North America
Honduras|Tegucigalpa|North America
Hungary|Budapest|Europe
Iceland|Reykjavik|Europe
India|New Delhi|Asia
Indonesia|Jakarta|Asia
Iran|Tehran|Asia
Iraq|Baghdad|Asia
Ireland|Dublin|Europe
Israel|Jerusalem|Asia
Italy|Rome|Europe
Ivory Coast|Yamoussoukro|Africa
Jamaica|Kingston|North America
Japan|Tokyo|Asia
Jordan|Amman|Asia
Kazakhstan|Astana|Asia
Kenya|Nairobi|Africa
Kiribati|Tarawa|Oceania
Kuwait|Kuwait City|Asia
Kyrgyzstan|Bishkek|Asia
Laos|Vientiane|Asia
Latvia|Riga|Europe
Lebanon|Beirut|Asia
Lesotho|Maseru|Africa
Liberia|Monrovia|Africa
Libya|Tripoli|Africa
Liechtenstein|Vaduz|Europe
Lithuania|Vilnius|Europe
Luxembourg|Luxembourg|Europe
Madagascar|Antananarivo|Africa
Malawi|Lilongwe|Africa
Malaysia|Kuala Lumpur|Asia
the Maldives|Male|Asia
Mali|Bamako|Africa
Malta|Valletta|Europe
the Marshall Islands|Majuro|Oceania
Mauritania|Nouakchott|Africa
Mauritius|Port Louis|Africa
Mexico|Mexico City|North America
Micronesia|Palikir|Oceania
Moldova|Chisinau|Europe
Monaco|Monaco|Europe
Mongolia|Ulaanbaatar|Asia
Montenegro|Podgorica|Europe
Morocco|Rabat|Africa
Mozambique|Maputo|Africa
Myanmar|Naypyidaw|Asia
Namibia|Windhoek|Africa
Nauru|Yaren|Oceania
Nepal|Kathmandu|Asia
the Netherlands|Amsterdam|Europe
New Zealand|Wellington|Oceania
Nicaragua|Managua|North America
Niger|Niamey|Africa
Nigeria|Abuja|Africa
North Korea|Pyongyang|Asia
North Macedonia|Skopje|Europe
Norway|Oslo|Europe
Oman|Muscat|Asia
Pakistan|Islamabad|Asia
Palau|Ngerulmud|Oceania
Palestine|Ramallah|Asia
Panama|Panama City|North America
Papua New Guinea|Port Moresby|Oceania
Paraguay|Asuncion|South America
Peru|Lima|South America
the Philippines|Manila|Asia
Poland|Warsaw|Europe
Portugal|Lisbon|Europe
Qatar|Doha|Asia
the Republic of the Congo|Brazzaville|Africa
Romania|Bucharest|Europe
Russia|Moscow|Europe
Rwanda|Kigali|Africa
Saint Kitts and Nevis|Basseterre|North America
Saint Lucia|Castries|North America
Saint Vincent and the Grenadines|Kingstown|North America
Samoa|Apia|Oceania
San Marino|San Marino|Europe
Sao Tome and Principe|Sao Tome|Africa
Saudi Arabia|Riyadh|Asia
Senegal|Dakar|Africa
Serbia|Belgrade|Europe
the Seychelles|Victoria|Africa
Sierra Leone|Freetown|Africa
Singapore|Singapore|Asia
Slovakia|Bratislava|Europe
Slovenia|Ljubljana|Europe
the Solomon Islands|Honiara|Oceania
Somalia|Mogadishu|Africa
South Africa|Pretoria|Africa
South Korea|Seoul|Asia
South Sudan|Juba|Africa
Spain|Madrid|Europe
Sri Lanka|Colombo|Asia
Sudan|Khartoum|Africa
Suriname|Paramaribo|South America
Sweden|Stockholm|Europe
Switzerland|Bern|Europe
Syria|Damascus|Asia
Taiwan|Taipei|Asia
Tajikistan|Dushanbe|Asia
Tanzania|Dodoma|Africa
Thailand|Bangkok|Asia
Togo|Lome|Africa
Tonga|Nuku'alofa|Oceania
Trinidad and Tobago|Port of Spain|North America
Tunisia|Tunis|Africa
Turkey|Ankara|Asia
Turkmenistan|Ashgabat|Asia
Tuvalu|Funafuti|Oceania
Uganda|Kampala|Africa
Ukraine|Kyiv|Europe
the United Arab Emirates|Abu Dhabi|Asia
the United Kingdom|London|Europe
the United States|Washington|North America
Uruguay|Montevideo|South America
Uzbekistan|Tashkent|Asia
Vanuatu|Port Vila|Oceania
Vatican City|Vatican City|Europe
Venezuela|Caracas|South America
Vietnam|Hanoi|Asia
Yemen|Sanaa|Asia
Zambia|Lusaka|Africa
Zimbabwe|Harare|Africa
""")
CONTINENTS = ["Africa", "Asia", "Europe", "North America", "South America", "Oceania"]

# Both directions are taught, so every word stands in exactly one pair.
OPPOSITES = _table("""
hot|cold
big|small
tall|short
fast|slow
up|down
left|right
day|night
open|closed
happy|sad
young|old
light|dark
hard|soft
wet|dry
full|empty
high|low
good|bad
rich|poor
strong|weak
early|late
near|far
inside|outside
front|back
top|bottom
loud|quiet
clean|dirty
thick|thin
wide|narrow
deep|shallow
smooth|rough
sharp|blunt
sweet|sour
true|false
start|finish
push|pull
win|lose
give|take
buy|sell
love|hate
laugh|cry
friend|enemy
question|answer
begin|end
always|never
before|after
first|last
more|less
many|few
same|different
easy|difficult
safe|dangerous
brave|afraid
kind|cruel
polite|rude
asleep|awake
alive|dead
above|below
on|off
in|out
yes|no
north|south
east|west
summer|winter
arrive|leave
remember|forget
find|hide
cheap|expensive
simple|complex
beautiful|ugly
noisy|silent
patient|impatient
possible|impossible
lucky|unlucky
""")

# thing (as it stands in a question) | colour
COLOURS = _table("""
the sky|blue
grass|green
a banana|yellow
snow|white
coal|black
blood|red
an orange|orange
milk|white
a lemon|yellow
a carrot|orange
a tomato|red
the sun|yellow
chocolate|brown
a cucumber|green
a strawberry|red
the sea|blue
a leaf|green
a raven|black
a flamingo|pink
a pig|pink
an elephant|grey
a mouse|grey
a frog|green
a lime|green
a cherry|red
a pumpkin|orange
salt|white
sugar|white
mud|brown
a polar bear|white
a brown bear|brown
a crow|black
a swan|white
a canary|yellow
a fire engine|red
lavender|purple
a plum|purple
an eggplant|purple
a violet|purple
a blueberry|blue
a raspberry|red
a pea|green
broccoli|green
spinach|green
corn|yellow
butter|yellow
cheese|yellow
rice|white
cotton|white
paper|white
a cloud|white
night|black
tar|black
ash|grey
cement|grey
a walnut|brown
coffee|brown
a sunflower|yellow
a ladybird|red
a lobster|red
honey|golden
gold|golden
silver|silver
ivory|white
jade|green
an emerald|green
a ruby|red
a sapphire|blue
""")

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August",
          "September", "October", "November", "December"]
MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
            "ninth", "tenth", "eleventh", "twelfth"]

ELEMENTS = [tuple(p.split()) for p in """
H hydrogen;He helium;Li lithium;Be beryllium;B boron;C carbon;N nitrogen;O oxygen;F fluorine;Ne neon;
Na sodium;Mg magnesium;Al aluminium;Si silicon;P phosphorus;S sulfur;Cl chlorine;Ar argon;K potassium;
Ca calcium;Sc scandium;Ti titanium;V vanadium;Cr chromium;Mn manganese;Fe iron;Co cobalt;Ni nickel;
Cu copper;Zn zinc;Ga gallium;Ge germanium;As arsenic;Se selenium;Br bromine;Kr krypton;Rb rubidium;
Sr strontium;Y yttrium;Zr zirconium;Nb niobium;Mo molybdenum;Tc technetium;Ru ruthenium;Rh rhodium;
Pd palladium;Ag silver;Cd cadmium;In indium;Sn tin;Sb antimony;Te tellurium;I iodine;Xe xenon;
Cs caesium;Ba barium;La lanthanum;Ce cerium;Pr praseodymium;Nd neodymium;Pm promethium;Sm samarium;
Eu europium;Gd gadolinium;Tb terbium;Dy dysprosium;Ho holmium;Er erbium;Tm thulium;Yb ytterbium;
Lu lutetium;Hf hafnium;Ta tantalum;W tungsten;Re rhenium;Os osmium;Ir iridium;Pt platinum;Au gold;
Hg mercury;Tl thallium;Pb lead;Bi bismuth;Po polonium;At astatine;Rn radon;Fr francium;Ra radium;
Ac actinium;Th thorium;Pa protactinium;U uranium;Np neptunium;Pu plutonium;Am americium;Cm curium;
Bk berkelium;Cf californium;Es einsteinium;Fm fermium;Md mendelevium;No nobelium;Lr lawrencium;
Rf rutherfordium;Db dubnium;Sg seaborgium;Bh bohrium;Hs hassium;Mt meitnerium;Ds darmstadtium;
Rg roentgenium;Cn copernicium;Nh nihonium;Fl flerovium;Mc moscovium;Lv livermorium;Ts tennessine;Og oganesson
""".replace("\n", "").split(";")]

# Words for spelling and for counting letters.
WORDS = """
cat dog sun moon tree fish bird house apple banana orange lemon bread water milk honey sugar table chair
window door floor garden flower river ocean island mountain forest cloud rain snow wind storm summer winter
spring autumn red blue green yellow black white brown purple horse sheep goat mouse rabbit tiger lion bear
wolf fox snake frog duck goose eagle owl whale shark crab shell sand stone rock metal glass paper pencil book
letter word story music song dance game ball toy train plane boat ship car bike road bridge city town village
school teacher student doctor nurse farmer baker king queen prince castle tower knight dragon magic dream sleep
night morning evening today friend mother father sister brother baby child family happy angry brave clever
little great hand foot arm leg head nose mouth tooth hair heart finger shoulder knee shirt shoes hat coat
glove scarf button pocket basket bottle kettle kitchen dinner lunch supper cheese butter pepper salt soup cake
cookie candy chocolate potato tomato carrot onion cabbage pumpkin cherry grape peach plum melon berry garlic
rocket planet star comet space robot screen mouse cable signal network browser window minnow shoal mesh salmon
trout coral wave beach harbour anchor sailor pirate treasure map compass lantern candle mirror ladder hammer
needle thread blanket pillow carpet curtain clock watch minute hour second number seven eight three
zebra giraffe monkey parrot penguin dolphin turtle spider beetle butter butterfly ant bee wasp worm snail
""".split()
WORDS = sorted(set(WORDS))

# The smaller world that the last part of training and the evaluation keep to.
FEW_WORDS = """cat dog sun moon tree fish bird house apple banana orange lemon bread water milk honey sugar table chair
window door floor garden flower river ocean island cloud rain snow wind red blue green yellow black white brown
horse sheep tiger lion bear fox frog book train boat car bike friend happy hand heart star robot mesh shoal minnow
music school""".split()
FEW_ELEMENTS = [e for e in ELEMENTS if e[0] in """H He Li C N O F Ne Na Mg Al Si P S Cl Ar K Ca Ti Cr Mn Fe Co Ni Cu Zn Br
Ag Sn I W Pt Au Hg Pb U""".split()]
FEW_OPPOSITES = OPPOSITES[:44]
FEW_COLOURS = COLOURS[:44]

SMALL_NAMES = """Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Mia Noah Olive Paul Rosa Sam Tina
Victor Wendy Zoe Adam Bella Carl Daisy Eric Fiona George Hannah Ivan Julia Kevin Laura Mark Nina Oscar Peter
Ruth Simon Tom Vera""".split()
ANIMALS = "fox rabbit bear mouse frog duck owl cat dog hedgehog squirrel turtle lion wolf goat pony badger penguin crab whale".split()
LIKES = """cats dogs music tea coffee books trains rain snow chess football pizza apples dancing swimming painting
puzzles flowers stars maps boats cheese stories bread birds""".split()
