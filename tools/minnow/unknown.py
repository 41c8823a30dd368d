"""Questions that lie outside the little world, and the honest answer to them."""
from phrasings import lines
from split import name_held
from world import COUNTRIES

ANSWER = "I don't know. I am only a tiny demo model."
SUMS = "I don't know. I only add and subtract numbers from 0 to 99."

ONSET = "b br c cl d dr f fl g gr h j k kr l m n p pr qu r s sk st t tr v w z zh y".split()
VOWEL = "a e i o u a e o ai ou ee".split()
CODA = ["", "", "", "n", "r", "l", "x", "m", "s", "k", "nd", "rt", "b"]
ENDING = ["ia", "land", "stan", "ova", "a", "o", "ania", "or", "istan", "ara", "ium", "eth", "is", "ador", "burg", "on", "", ""]
REAL = {c.lower().removeprefix("the ") for c, _, _ in COUNTRIES} | {k.lower() for _, k, _ in COUNTRIES}


def made_up(rng, part, ending=None):
    """A name of nothing. A tenth of all such names is kept for the evaluation."""
    while True:
        word = "".join(rng.choice(ONSET) + rng.choice(VOWEL) + rng.choice(CODA) for _ in range(rng.choice((1, 2, 2, 2, 3))))
        word += rng.choice(ENDING) if ending is None else ending
        if 4 <= len(word) <= 12 and word not in REAL and name_held(word) == (part == "eval"):
            return word


# Real places that are no country of the list.
PLACES = """California Texas Florida Bavaria Scotland Wales Greenland Siberia Hawaii Alaska Sicily Quebec Tuscany Catalonia
Atlantis Narnia Wakanda Mordor Utopia Neverland Mars Venus Jupiter Pluto Antarctica Asia Africa Europe Ohio Virginia
Kashmir Tibet Lapland Bohemia Brittany Normandy Crete Corsica Sardinia Bali Java Sumatra Borneo Tasmania Ontario""".split()
PEOPLE = """Shakespeare Einstein Newton Mozart Beethoven Picasso Napoleon Caesar Cleopatra Plato Galileo Darwin Columbus
Gandhi Lincoln Bach Tolstoy Homer Dante Curie Edison Tesla Aristotle Chaplin Socrates""".split()
WORKS = """Hamlet|the Bible|Macbeth|War and Peace|the Odyssey|Romeo and Juliet|Don Quixote|the Mona Lisa|this book|Faust|
Moby Dick|Frankenstein|Dracula|the Iliad|Pinocchio|Peter Pan|the Magic Flute|Oliver Twist""".replace("\n", "").split("|")
THINGS = """the telephone|the light bulb|the computer|the wheel|paper|the car|the aeroplane|the radio|the internet|the telescope|
television|the bicycle|dynamite|the printing press|penicillin|the steam engine|the camera|the piano|glasses|zero""".replace("\n", "").split("|")
TOPICS = """gravity|love|democracy|physics|photosynthesis|evolution|inflation|quantum mechanics|the Roman Empire|black holes|
philosophy|history|the brain|DNA|electricity|climate change|economics|art|religion|the French Revolution|music theory|
football|chess|cooking|politics|the stock market|bitcoin|medicine|the law|war|time|energy|space|volcanoes|dinosaurs|
relativity|magnets|vaccines|justice|machine learning|the internet|poetry|astronomy|geology""".replace("\n", "").split("|")
EVENTS = ["the World Cup", "the election", "the Olympic Games", "the match", "the Nobel Prize", "the race", "the war", "the Oscar", "the game"]
LANGUAGES = "French German Spanish Latin Italian Chinese Japanese Russian Greek Dutch Arabic Polish".split()
PHRASES = ["hello", "good morning", "thank you", "water", "bread", "I love you", "cat", "house", "goodbye", "my friend"]

# {c} country, {k} capital, {p} person, {w} work, {t} thing, {o} topic, {y} year, {e} event, {l} language, {f} phrase
GENERAL = lines("""
Who wrote {w}?
Who painted {w}?
Who is the author of {w}?
When was {w} written?
What is {w} about?
Who invented {t}?
When was {t} invented?
Who discovered {t}?
How does {t} work?
How is {t} made?
Who was {p}?
Who is {p}?
When was {p} born?
When did {p} die?
Where was {p} born?
What did {p} do?
Tell me about {p}.
How old was {p}?
Why is {p} famous?
What is {o}?
Explain {o}.
Explain {o} to me.
Tell me about {o}.
What do you know about {o}?
What do you think about {o}?
Can you explain {o}?
Why is {o} important?
Write an essay about {o}.
Write a poem about {o}.
Write code for {o}.
How do I learn {o}?
Give me a summary of {o}.
What is the meaning of {o}?
Define {o}.
Teach me {o}.
Who is the president of {c}?
Who is the king of {c}?
Who rules {c}?
Who is the prime minister of {c}?
How many people live in {c}?
How many people live in {k}?
What is the population of {c}?
What is the population of {k}?
What language do they speak in {c}?
What is the language of {c}?
What is the currency of {c}?
What money do they use in {c}?
What is the flag of {c}?
How big is {c}?
How large is {c}?
What is the highest mountain in {c}?
What is the longest river in {c}?
What is the weather in {k}?
What is the weather like in {k} today?
Will it rain in {k} tomorrow?
How do I get to {k}?
How far is {k} from here?
What time is it in {k}?
What should I see in {k}?
What do people eat in {c}?
When was {c} founded?
What happened in {c} in {y}?
Who won {e} in {y}?
Who won {e}?
Who lost {e} in {y}?
What happened in {y}?
When did {e} start?
Where was {e} in {y}?
How do you say {f} in {l}?
Translate {f} into {l}.
Translate {f} to {l}.
What does {f} mean in {l}?
Do you speak {l}?
Say {f} in {l}.
What is the news today?
What is the latest news?
What happened today?
What is the weather today?
How is the weather?
What time is it?
What is the date today?
What day is it today?
What year is it?
Who is the best singer?
What is the tallest building?
What is the highest mountain?
What is the longest river?
What is the largest ocean?
What is the largest animal?
What is the fastest animal?
How far away is the moon?
How far away is the sun?
How hot is the sun?
How old is the earth?
How many stars are there?
How many people are there?
What is the speed of light?
What is the meaning of life?
What is the square root of two?
What is pi?
How do I cook rice?
How do I bake a cake?
How do I fix my car?
How do I lose weight?
How do I make money?
Where can I buy shoes?
What should I eat today?
What should I wear?
What should I do?
Who will win tomorrow?
Recommend a book.
Recommend a film.
What is a good film?
What is the best phone?
How much does a car cost?
How much is a house?
Write a program.
Write a letter to my boss.
Write an email.
Book a flight for me.
Order a pizza.
Play some music.
Send a message.
Open the door.
Who is my mother?
How old am I?
Where do I live?
What am I thinking?
What is my favourite colour?
Why is the sky blue?
Why do birds fly?
Why do we sleep?
How do planes fly?
How do fish breathe?
What do cows eat?
How long do cats live?
""")
BIG_SUM = lines("""
What is {a} + {b}?
What is {a} plus {b}?
{a} + {b}?
What is {a} - {b}?
What is {a} minus {b}?
{a} + {b} =
Add {a} and {b}.
Calculate {a} + {b}.
How much is {a} plus {b}?
""")
TIMES = lines("""
What is {a} times {b}?
What is {a} * {b}?
What is {a} x {b}?
{a} * {b}?
{a} times {b}?
Multiply {a} by {b}.
What is {a} divided by {b}?
What is {a} / {b}?
Divide {a} by {b}.
How much is {a} times {b}?
What is the product of {a} and {b}?
Calculate {a} * {b}.
Calculate {a} / {b}.
What is the square of {a}?
What is the square root of {a}?
What is {a} percent of {b}?
""")
