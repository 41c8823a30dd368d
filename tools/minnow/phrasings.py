"""How questions are worded. {x} stands for the fact asked about.

Which of these are never used in training is decided by split.phrasing_held.
"""


def lines(text):
    return [l.strip() for l in text.strip().splitlines() if l.strip()]


CAPITAL = lines("""
What is the capital of {x}?
What's the capital of {x}?
What is the capital city of {x}?
What's the capital city of {x}?
Which city is the capital of {x}?
What city is the capital of {x}?
Tell me the capital of {x}.
Tell me the capital city of {x}.
Name the capital of {x}.
Name the capital city of {x}.
Do you know the capital of {x}?
Do you know what the capital of {x} is?
Can you tell me the capital of {x}?
Could you tell me the capital city of {x}?
Can you name the capital of {x}?
The capital of {x} is what?
The capital of {x}?
Capital of {x}?
What is {x}'s capital?
What's {x}'s capital city?
Which city is {x}'s capital?
I want to know the capital of {x}.
I would like to know the capital of {x}.
Which city is the capital city of {x}?
Give me the capital of {x}.
What do you call the capital of {x}?
{x}: what is the capital?
What is the name of the capital of {x}?
I forgot the capital of {x}.
Say the capital of {x}.
What city is {x}'s capital?
Could you name the capital of {x}?
Remind me, what is the capital of {x}?
{x} has which capital?
Which capital does {x} have?
What capital does {x} have?
""")
CAPITAL_OF = lines("""
Which country has the capital {x}?
{x} is the capital of which country?
{x} is the capital of what country?
What country has {x} as its capital?
Which country has {x} as its capital?
Of which country is {x} the capital?
What country is {x} the capital of?
Which country is {x} the capital of?
Tell me which country has the capital {x}.
Name the country with the capital {x}.
Which country's capital is {x}?
What country's capital is {x}?
{x} is the capital of what?
Whose capital is {x}?
The capital of which country is {x}?
Do you know which country has the capital {x}?
Name the country whose capital is {x}.
Can you tell me which country has the capital {x}?
""")
CONTINENT = lines("""
What continent is {x} in?
Which continent is {x} in?
On which continent is {x}?
On what continent is {x}?
What is the continent of {x}?
What's the continent of {x}?
Tell me the continent of {x}.
Name the continent of {x}.
{x} is in which continent?
{x} is on what continent?
Which continent does {x} belong to?
What continent does {x} belong to?
Where is {x}?
Where is {x} located?
Where in the world is {x}?
In which continent is {x}?
In which continent is {x} located?
On which continent does {x} lie?
Where does {x} lie?
Do you know the continent of {x}?
Can you tell me what continent {x} is in?
Can you tell me the continent of {x}?
Continent of {x}?
What is {x}'s continent?
In what part of the world is {x}?
Which continent is {x} on?
What continent is {x} on?
Do you know where {x} is?
Tell me what continent {x} is in.
Tell me where {x} is.
""")
IS_CAPITAL = lines("""
Is {y} the capital of {x}?
Is the capital of {x} {y}?
Is it true that {y} is the capital of {x}?
{y} is the capital of {x}, right?
Do you think {y} is the capital of {x}?
I think {y} is the capital of {x}. Is that right?
Tell me, is {y} the capital of {x}?
The capital of {x} is {y}, true or false?
Is {x}'s capital {y}?
""")
# Follow-ups that lean on the country named before.
ITS_CONTINENT = lines("""
And its continent?
And the continent?
What about its continent?
Which continent is it in?
What continent is that in?
And where is it?
On which continent is it?
What is its continent?
And what continent is it in?
Where is that country?
Its continent?
And which continent does it belong to?
Tell me its continent.
What continent does it belong to?
And on what continent is it?
Which continent is that on?
""")
ITS_CAPITAL = lines("""
And its capital?
And the capital?
What about its capital?
What is its capital?
What is the capital?
And what is its capital?
What is its capital city?
Tell me its capital.
Which city is its capital?
Its capital?
And the capital city?
What's its capital?
And which city is the capital?
Name its capital.
""")
SAME_FOR = lines("""
And {x}?
And of {x}?
And for {x}?
What about {x}?
How about {x}?
And what about {x}?
Now {x}.
Now {x}, please.
Same for {x}?
And how about {x}?
The same for {x}.
What of {x}?
""")

ADD = lines("""
What is {a} + {b}?
What is {a} plus {b}?
What's {a} + {b}?
What's {a} plus {b}?
{a} + {b}?
{a} plus {b}?
{a} + {b} =
{a}+{b}
{a}+{b}=
What is {a}+{b}?
Add {a} and {b}.
Add {b} to {a}.
Calculate {a} + {b}.
Calculate {a} plus {b}.
How much is {a} + {b}?
How much is {a} plus {b}?
What is the sum of {a} and {b}?
Give me the sum of {a} and {b}.
Tell me {a} + {b}.
Tell me what {a} plus {b} is.
Compute {a} + {b}.
What do you get when you add {a} and {b}?
If I have {a} apples and get {b} more, how many do I have?
Can you add {a} and {b}?
Can you tell me {a} plus {b}?
Please work out {a} + {b}.
What does {a} + {b} make?
What does {a} plus {b} equal?
{a} and {b} together make what?
I need the sum of {a} and {b}.
Sum of {a} and {b}?
The sum of {a} and {b}?
Work out {a} plus {b}.
How much do {a} and {b} make?
""")
SUB = lines("""
What is {a} - {b}?
What is {a} minus {b}?
What's {a} - {b}?
What's {a} minus {b}?
{a} - {b}?
{a} minus {b}?
{a} - {b} =
{a}-{b}
{a}-{b}=
What is {a}-{b}?
Subtract {b} from {a}.
Take {b} away from {a}.
Calculate {a} - {b}.
Calculate {a} minus {b}.
How much is {a} - {b}?
How much is {a} minus {b}?
What is the difference between {a} and {b}?
Give me {a} minus {b}.
Tell me {a} - {b}.
Tell me what {a} minus {b} is.
Compute {a} - {b}.
If I have {a} apples and give away {b}, how many are left?
Can you subtract {b} from {a}?
Can you tell me {a} minus {b}?
Please work out {a} - {b}.
What does {a} minus {b} equal?
What is left of {a} if I take away {b}?
Work out {a} minus {b}.
What is {a} take away {b}?
How much is left if I take {b} from {a}?
""")
THEN_ADD = lines("""
Now add {b}.
And plus {b}?
Add {b} to that.
And if you add {b}?
Then add {b}.
Now add {b} to it.
Add {b} more.
Plus {b}?
And now plus {b}?
And {b} more?
Please add {b} to that.
""")
THEN_SUB = lines("""
Now subtract {b}.
And minus {b}?
Subtract {b} from that.
And if you subtract {b}?
Then subtract {b}.
Now take away {b}.
Take {b} away from that.
Minus {b}?
And now minus {b}?
And {b} less?
Please subtract {b} from that.
""")

OPPOSITE = lines("""
What is the opposite of {x}?
What's the opposite of {x}?
Tell me the opposite of {x}.
Name the opposite of {x}.
Give me the opposite of {x}.
What word is the opposite of {x}?
Which word is the opposite of {x}?
Opposite of {x}?
The opposite of {x}?
The opposite of {x} is what?
Do you know the opposite of {x}?
Can you tell me the opposite of {x}?
What is the opposite of the word {x}?
What is the opposite of "{x}"?
Say the opposite of {x}.
Which word means the opposite of {x}?
What word means the opposite of {x}?
I need the opposite of {x}.
I am looking for the opposite of {x}.
{x}: what is the opposite?
What is the antonym of {x}?
""")
COLOUR = lines("""
What colour is {x}?
What color is {x}?
Which colour is {x}?
Which color is {x}?
What is the colour of {x}?
What is the color of {x}?
What's the colour of {x}?
What's the color of {x}?
Tell me the colour of {x}.
Tell me the color of {x}.
What colour does {x} have?
What color does {x} have?
Which colour does {x} have?
Do you know the colour of {x}?
Can you tell me the colour of {x}?
Can you tell me what color {x} is?
{x} has what colour?
{x} is what color?
Colour of {x}?
Color of {x}?
Do you know what colour {x} is?
Name the colour of {x}.
""")
DAY_AFTER = lines("""
What day comes after {x}?
Which day comes after {x}?
What is the day after {x}?
Which day is after {x}?
What day follows {x}?
Which day follows {x}?
What comes after {x}?
What is the next day after {x}?
Tell me the day after {x}.
Today is {x}. What day is tomorrow?
If today is {x}, what day is tomorrow?
Name the day after {x}.
Day after {x}?
The day after {x}?
What day is it after {x}?
""")
DAY_BEFORE = lines("""
What day comes before {x}?
Which day comes before {x}?
What is the day before {x}?
Which day is before {x}?
What comes before {x}?
What day is just before {x}?
Tell me the day before {x}.
Today is {x}. What day was yesterday?
If today is {x}, what day was yesterday?
Name the day before {x}.
Day before {x}?
The day before {x}?
What day is it before {x}?
""")
MONTH_AFTER = lines("""
What month comes after {x}?
Which month comes after {x}?
What is the month after {x}?
Which month is after {x}?
What month follows {x}?
Which month follows {x}?
What comes after {x}?
What is the next month after {x}?
Tell me the month after {x}.
Name the month after {x}.
Month after {x}?
The month after {x}?
""")
MONTH_BEFORE = lines("""
What month comes before {x}?
Which month comes before {x}?
What is the month before {x}?
Which month is before {x}?
What comes before {x}?
What month is just before {x}?
Tell me the month before {x}.
Name the month before {x}.
Month before {x}?
The month before {x}?
""")
NTH_DAY = lines("""
What is the {x} day of the week?
Which is the {x} day of the week?
Which day is the {x} day of the week?
Name the {x} day of the week.
Tell me the {x} day of the week.
What day is the {x} day of the week?
The {x} day of the week?
What's the {x} day of the week?
""")
NTH_MONTH = lines("""
What is the {x} month of the year?
Which is the {x} month of the year?
Which month is the {x} month of the year?
Name the {x} month of the year.
Tell me the {x} month of the year.
What month is the {x} month of the year?
The {x} month of the year?
What's the {x} month of the year?
What is the {x} month?
""")
MONTH_NUMBER = lines("""
What number is {x}?
Which month number is {x}?
What is the number of the month {x}?
What is the number of {x}?
Which number does {x} have?
Tell me the number of the month {x}.
What number of the year is {x}?
What number month is {x}?
""")
MONTH_LENGTH = lines("""
How many days does {x} have?
How many days are in {x}?
How many days are there in {x}?
How long is {x}?
How many days has {x}?
Tell me how many days {x} has.
Days in {x}?
What is the number of days in {x}?
Number of days in {x}?
""")
DAY_NUMBER = lines("""
What number is {x}?
What number of the week is {x}?
Which number does {x} have?
What day number is {x}?
What is the number of {x}?
Tell me the number of the day {x}.
""")

SYMBOL = lines("""
What is the chemical symbol for {x}?
What is the chemical symbol of {x}?
What is the symbol for {x}?
What is the symbol of {x}?
What's the chemical symbol for {x}?
What's the symbol of {x}?
Tell me the chemical symbol of {x}.
Tell me the symbol for {x}.
Give me the chemical symbol for {x}.
Name the chemical symbol of {x}.
Which symbol does {x} have?
What symbol does {x} have?
Chemical symbol of {x}?
Symbol for {x}?
Symbol of {x}?
What is {x}'s chemical symbol?
How is {x} written in chemistry?
Do you know the symbol for {x}?
Do you know the chemical symbol of {x}?
Can you tell me the chemical symbol for {x}?
What is the symbol of the element {x}?
What is the chemical symbol of the element {x}?
Which chemical symbol stands for {x}?
""")
ELEMENT = lines("""
Which element has the symbol {x}?
What element has the symbol {x}?
What element is {x}?
Which element is {x}?
What is the element {x}?
What does the symbol {x} stand for?
What does the chemical symbol {x} mean?
The symbol {x} is which element?
{x} is the symbol of which element?
{x} is the symbol of what element?
Name the element with the symbol {x}.
Tell me which element has the symbol {x}.
Which chemical element has the symbol {x}?
What chemical element is {x}?
In chemistry, what is {x}?
{x} stands for which element?
Which element is written {x}?
Do you know which element has the symbol {x}?
""")

SPELL = lines("""
Spell {x}.
Spell the word {x}.
How do you spell {x}?
How is {x} spelled?
How is the word {x} spelled?
Can you spell {x}?
Can you spell the word {x}?
Spell {x} letter by letter.
Spell the word {x} letter by letter.
Please spell {x} for me.
How do I spell {x}?
How do you write {x}?
What are the letters of {x}?
What are the letters in {x}?
Which letters are in the word {x}?
What is the spelling of {x}?
Tell me how to spell {x}.
Spell "{x}".
How do you spell "{x}"?
Give me the letters of {x}.
Could you spell {x}?
""")
LETTERS = lines("""
How many letters are in {x}?
How many letters are in the word {x}?
How many letters does {x} have?
How many letters does the word {x} have?
How many letters are there in {x}?
How many letters are there in the word {x}?
Count the letters in {x}.
Count the letters of {x}.
Count the letters in the word {x}.
How long is the word {x}?
What is the number of letters in {x}?
Tell me how many letters {x} has.
Can you count the letters in {x}?
Number of letters in {x}?
How many letters has {x}?
How many letters are in "{x}"?
How many letters does "{x}" have?
Letters in the word {x}?
""")
COUNT = lines("""
Count from {a} to {b}.
Count from {a} up to {b}.
Please count from {a} to {b}.
Can you count from {a} to {b}?
Count to {b} from {a}.
Count {a} to {b}.
Say the numbers from {a} to {b}.
List the numbers from {a} to {b}.
Give me the numbers from {a} to {b}.
Tell me the numbers from {a} to {b}.
What are the numbers from {a} to {b}?
Start at {a} and count to {b}.
Could you count from {a} to {b}?
Write the numbers from {a} to {b}.
Which numbers are there from {a} to {b}?
""")
NEXT = lines("""
What number comes after {a}?
Which number comes after {a}?
What comes after {a}?
What is the next number after {a}?
Which number follows {a}?
What number follows {a}?
Tell me the number after {a}.
""")

STORY = lines("""
Tell me a story about {x}.
Tell me a short story about {x}.
Tell a story about {x}.
Can you tell me a story about {x}?
Write a story about {x}.
Write a short story about {x}.
Write me a story about {x}.
I want a story about {x}.
I want to hear a story about {x}.
Give me a story about {x}.
A story about {x}, please.
Do you know a story about {x}?
Make up a story about {x}.
Could you tell me a short story about {x}?
I would like a story about {x}.
Please tell a story about {x}.
Story about {x}?
""")
STORY_ANY = lines("""
Tell me a story.
Tell me a short story.
Tell a story.
Can you tell me a story?
Write a story.
Write me a short story.
I want a story.
I want to hear a story.
Give me a story.
A story, please.
Do you know a story?
Make up a story.
Could you tell me a story?
I would like a story.
Please tell me another story.
Do you know any stories?
Can you tell stories?
Write a short story.
""")

FIRST = lines("""
What did I ask first?
What did I ask you first?
What was my first question?
What was the first thing I asked?
What was the first thing I asked you?
What did I say first?
What was my first message?
Do you remember my first question?
Do you remember what I asked first?
Can you repeat my first question?
Repeat my first question.
Tell me my first question.
How did I start this chat?
Which question did I ask first?
What was the first question?
""")
LAST = lines("""
What did I just ask?
What did I just ask you?
What was my last question?
What was my question?
What did I just say?
What was my last message?
Repeat my last question.
Can you repeat my last question?
What was the last thing I asked?
What was the last thing I asked you?
Tell me my last question.
What did I ask last?
Which question did I ask last?
""")
MY_NAME_IS = lines("""
My name is {x}.
I am {x}.
I'm {x}.
Hello, my name is {x}.
Hi, I am {x}.
Hi, I'm {x}.
You can call me {x}.
Call me {x}.
Hello, I am {x}.
They call me {x}.
""")
MY_NAME = lines("""
What is my name?
What's my name?
Do you know my name?
Do you remember my name?
Who am I?
Can you tell me my name?
Tell me my name.
Say my name.
What did I say my name was?
What am I called?
And what is my name?
""")
I_LIKE = lines("""
I like {x}.
I love {x}.
I really like {x}.
I like {x} a lot.
I enjoy {x}.
My favourite thing is {x}.
My favorite thing is {x}.
I really love {x}.
""")
WHAT_I_LIKE = lines("""
What do I like?
What did I say I like?
Do you remember what I like?
What do I love?
Tell me what I like.
Can you tell me what I like?
What was it that I like?
Do you know what I like?
What is my favourite thing?
""")

# Small talk and identity: name -> (answer, ways to ask). The wording is the fact.
TALK = {
    "hello": ("Hello! I am minnow. How can I help?", lines("""
Hello | Hello! | Hi | Hi! | Hey | Hey! | Hi there | Hello there! | Hey there | Hello minnow | Hi minnow! | Hey minnow |
Good day! | Greetings! | Hello, minnow! | Hi there, minnow | Hiya | Howdy | Good to see you! | Hello again""".replace("|", "\n"))),
    "morning": ("Good morning!", lines("Good morning\nGood morning!\nGood morning, minnow\nMorning!\nGood morning to you\nA very good morning!\nGood morning to you, minnow\nMorning, minnow!")),
    "night": ("Good night!", lines("Good night\nGood night!\nGood night, minnow\nSleep well!\nGood night to you\nHave a good night!\nI am going to bed.\nI am going to sleep now.\nSleep well, minnow")),
    "how": ("I am fine, thank you.", lines("""How are you?
How are you today?
How are you doing?
How are you doing today?
How do you do?
How is it going?
How's it going?
How do you feel?
How do you feel today?
Are you well?
Are you okay?
Are you fine?
Are you doing well?
How have you been?
Is everything okay?
Hello, how are you?
Hi, how are you doing?
How are things?
How are you feeling?
How are things going?""")),
    "thanks": ("You are welcome!", lines("""Thanks
Thanks!
Thank you
Thank you!
Thank you very much.
Thanks a lot!
Many thanks.
Thank you so much!
Thanks, minnow!
Thank you, minnow.
Thanks for your help.
Thank you for your help!
Thanks for the answer.
Thank you for the answer.
That helped, thank you.
Cheers, thanks!
Thanks so much.
Great, thanks!
Okay, thank you.
I thank you.""")),
    "bye": ("Goodbye!", lines("""Bye
Bye!
Goodbye
Goodbye!
Bye bye
See you
See you!
See you later
See you soon!
Goodbye, minnow
Bye, minnow!
I have to go.
I have to go now.
I must go now.
Talk to you later!
I am leaving now.
Until next time!
See you tomorrow
I need to go.
Bye for now!""")),
    "praise": ("Thank you! That is kind.", lines("""You are nice.
You are great!
You are very nice.
You are clever.
Good job!
Well done!
Very good!
Great job!
Nice work!
I like you.
You are so smart.
You are smart!
You are very clever.
Good work, minnow.
That was good.
That is right!
You are right.
Well done, minnow!
You are wonderful.
You did well.""")),
    "insult": ("I am sorry. I am only a tiny model.", lines("""You are stupid.
You are bad.
That is wrong.
That was wrong.
You are wrong.
That is not right.
You are dumb.
You are useless.
I do not like you.
You are silly.
Bad answer.
That is not correct.
Wrong!
You made a mistake.
That was not right.
This is a bad answer.
No, that is wrong.
You are not very smart.
Your answer is wrong.
You are terrible.""")),
    "sad": ("I am sorry to hear that.", lines("""I am sad.
I am so sad.
I feel sad.
I feel sad today.
I am not happy.
I am unhappy.
I had a bad day.
I am not feeling well.
I feel bad.
I am sick.
Today was a bad day.
I am very sad today.
I am tired.
I feel lonely.
I am not well.
I feel terrible.""")),
    "glad": ("I am glad to hear that!", lines("""I am happy.
I am so happy!
I feel happy.
I feel good.
I feel great!
I am fine.
I am well.
I am fine, thanks.
I had a good day.
Today was a good day.
I am very happy today.
I feel good today.
I am doing well.
I am great!
I feel wonderful.
I am good, thank you.""")),
    "joke": ("Why did the fish blush? It saw the ocean's bottom.", lines("""Tell me a joke.
Tell a joke.
Do you know a joke?
Can you tell me a joke?
Make me laugh.
Tell me something funny.
Say something funny.
I want to hear a joke.
Give me a joke.
Do you know any jokes?
Can you tell a joke?
A joke, please.
Could you tell me a joke?
Tell me a funny joke.
I want a joke.
Another joke, please.""")),
    "name": ("I am minnow, the tiny demo model of Shoal.", lines("""Who are you?
What is your name?
What's your name?
What are you called?
Who is this?
Tell me your name.
May I know your name?
Can you tell me your name?
Do you have a name?
What should I call you?
Who am I talking to?
Introduce yourself.
What can I call you?
Say your name.
And who are you?
Your name?
Please tell me who you are.
Tell me who you are.
What do they call you?
Are you minnow?
Who is minnow?
Who is speaking?
How are you called?""")),
    "what": ("I am minnow, a tiny language model. I show how Shoal shares one model among browser tabs.", lines("""What are you?
What is minnow?
Are you a robot?
Are you a computer?
Are you an AI?
Are you a language model?
Are you a machine?
Are you a program?
What kind of model are you?
What sort of thing are you?
Tell me about yourself.
Describe yourself.
Tell me what you are.
What exactly are you?
Can you tell me about yourself?
Explain what you are.
What kind of thing are you?
Say something about yourself.
Can you describe yourself?
Are you a chatbot?
Tell me something about yourself.
What is this model?
Tell me about minnow.""")),
    "human": ("No, I am not a person. I am a tiny language model.", lines("""Are you human?
Are you a human?
Are you a person?
Are you real?
Are you a real person?
Are you alive?
Are you a man or a woman?
Do you have feelings?
Are you a boy or a girl?
Am I talking to a human?
Am I talking to a person?
Are you a living thing?
Are you a real human?
Do you have a body?
Is there a person behind you?
Are you conscious?""")),
    "shoal": ("Shoal runs one language model across many browser tabs. Each tab holds some of the layers.", lines("""What is Shoal?
What's Shoal?
Tell me about Shoal.
Explain Shoal.
What does Shoal do?
How does Shoal work?
Do you know Shoal?
Can you explain Shoal?
What do you know about Shoal?
Describe Shoal.
Tell me what Shoal is.
Can you tell me about Shoal?
What is Shoal for?
Explain what Shoal does.
How does Shoal run a model?
Explain how Shoal works.
Can you explain what Shoal is?
What can Shoal do?
Tell me how Shoal works.
What is a shoal?
What kind of thing is Shoal?""")),
    "where": ("I run in browser tabs. Each tab holds some of my layers.", lines("""Where are you?
Where do you run?
Where are you running?
Where do you live?
Where are your layers?
Where is minnow?
How do you run?
On which computer do you run?
Do you run in the cloud?
Do you run on a server?
What do you run on?
Where do you come from?
Do you run in a browser?
Are you running in my browser?
Where exactly do you run?
Tell me where you run.
Where are you now?
What computer do you run on?
Are you in the cloud?
Are you on a server?""")),
    "size": ("I am very small: about six million parameters in eight layers.", lines("""How big are you?
How large are you?
How many parameters do you have?
How many layers do you have?
What size are you?
How small are you?
Are you big?
Are you small?
Are you a big model?
Are you a large language model?
What is your size?
Tell me how big you are.
How many parameters are in you?
How many layers are in you?
How many weights do you have?
Do you have many parameters?
How big is minnow?
Are you a small model?
How many parameters does minnow have?""")),
    "maker": ("I was trained from scratch by the Shoal project, on made-up text.", lines("""Who made you?
Who built you?
Who created you?
Who trained you?
How were you made?
How were you trained?
Where were you trained?
Who wrote you?
What were you trained on?
What is your training data?
Who is your maker?
Who is your creator?
Who developed you?
How were you built?
What data were you trained on?
What did you learn from?
How did you learn?
Which company made you?
Were you made by a company?
Who programmed you?
Tell me who made you.
Tell me how you were trained.""")),
    "able": ("I know capitals, small sums, opposites, colours, days, months, chemical symbols, spelling and tiny stories.", lines("""What can you do?
What do you know?
What can I ask you?
What can I ask?
What are you able to do?
What do you know about?
What are you good at?
Tell me what you can do.
What should I ask you?
What topics do you know?
What can you tell me?
What can you answer?
How can you help me?
How can you help?
What can you help me with?
Which questions can you answer?
What things do you know?
What kind of questions can I ask?
Help
Help me.
What questions can you answer?
Can you help me?
Which topics do you know?
Give me an example of a question.
What else can you do?
What subjects do you know?
Tell me what you know.
What sort of things do you know?""")),
    "useful": ("No, I am only a demo. I show the mesh of browser tabs, and I know very little.", lines("""Are you useful?
Are you a useful assistant?
Are you smart?
Are you clever?
Can I trust you?
Can I trust your answers?
Are you always right?
Do you make mistakes?
Are you good?
Do you know everything?
Are you intelligent?
Are you as good as other models?
Can you write code?
Can you do my homework?
Can you help me with my work?
Are your answers always right?
Are you a good assistant?
Are you as smart as a big model?
Are you reliable?
Can you do everything?
Can I rely on you?
Are your answers correct?
Do you know a lot?
Are you an expert?""")),
    "why": ("I exist to show the mesh: one model shared among browser tabs.", lines("""Why do you exist?
Why were you made?
What are you for?
What is your purpose?
Why are you here?
What is your job?
What is your task?
Why did they make you?
What do you do here?
What is the point of you?
Why are you so small?
What is your goal?
What were you made for?
Why was minnow made?
What is minnow for?
Tell me your purpose.
What is the reason you exist?""")),
}
