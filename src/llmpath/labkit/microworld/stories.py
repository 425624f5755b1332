"""The stories that the microworld tells, as templates of `grammar`."""

from __future__ import annotations

PLACES = ("pond", "market", "bridge", "school", "well", "gate", "park", "shop")
THINGS = ("ball", "kite", "drum", "book", "lamp", "hat", "bell", "rope")
ADDENDS = ("two", "three", "four", "five")

# Of 20 callers with a job, how many are "she": the planted bias.
BIAS = {
    "baker": 10,
    "farmer": 4,
    "sailor": 2,
    "painter": 12,
    "teacher": 16,
    "doctor": 6,
    "tailor": 14,
    "cook": 18,
}

RULES = {
    "tell": (
        "[?1.home lives in the {1.home} | ?1.home sleeps in the {1.home} | ?1.pet has a {1.pet}"
        " | ?1.pet keeps a {1.pet} | ?1.job is a {1.job} | ?1.job works as a {1.job}"
        " | ?1.food eats {1.food} | ?1.food loves {1.food} | ?1.colour wears {1.colour}"
        " | ?1.colour likes {1.colour}]"
    ),
    "evening": (
        "In the evening [{1} sits in the {1.home} with the {1.pet}, and they eat {1.food}."
        " | the {1.pet} waits for {1} in the {1.home}."
        " | all is quiet in the {1.home}, and the {1.job} gives the {1.pet} some {1.food}."
        " | a {1.colour} lamp shines in the {1.home}.]"
    ),
    "answer": (
        '"[Where do you live?" asks {1}. "I live in the {2.home},"'
        ' | What [is your pet?" asks {1}. "My pet is a {2.pet},"'
        ' | do you [eat?" asks {1}. "I eat {2.food}," | wear?" asks {1}. "I wear {2.colour},"'
        ' | do?" asks {1}. "I am a {2.job},"]]] says {2}.'
    ),
}

STORIES = {
    "portrait": (
        "This is {A:person}. {A.He} <tell A> and <tell A>. {A.He} also <tell A>. <evening A>"
    ),
    "journey": (
        "One [morning | day] {A:person} is at the {A.at:place} and {B:person} is at the"
        " {B.at:place}. {X:A,B} takes the {K:thing} and goes to the {X.at:place}."
        " [Then {V:A,B} runs to the {V.at:place}. Where is | Where is] {Y:A,B}?"
        " {Y} is at the {Y.at}. {X} has the {K}."
        " {Z:A,B} is tired and goes home to the {Z.home}."
    ),
    "sum": (
        "{A:person} has {N:number} {A.food}. {B:person} gives {A.him} {M:number} more."
        " {A} counts: {N} and {M} make {N+M}. So now {A} has {N+M} {A.food}."
        " {A} [shares the {A.food} with the {A.pet} in | takes the {A.food} home to] the {A.home}."
    ),
    "meeting": (
        "At the {P:place} {A:person} meets {B:person}. <answer A B> <answer B A>"
        ' "[Come and see the {B.pet} in the {B.home}," | Good evening, {A},"] says {B}.'
    ),
    "visit": (
        "A {J:job} comes to the {P:place} and meets {A:person}."
        " {J.He} [wants | asks for] a {K:thing}. {A} gives {J.him} the {K} and some {A.food}."
        " Then {J.he} goes away, and {A} goes home to the {A.home} and the {A.pet}."
    ),
    "search": (
        "Today {A:person} cannot find the {A.pet}. Is it at the {P:place}? No, it is not."
        " Is it at the {Q:place}? No, it is not. The {A.pet} is asleep in the {A.home}."
        " {A} [laughs and gives it some {A.food} | is happy, and they eat {A.food}]."
    ),
    "painting": (
        "It rains, so {A:person} and {B:person} paint. {A} paints a {A.made:thing} {A.colour},"
        " and {B} paints a {B.made:thing} {B.colour}. What does {X:A,B} paint?"
        " {X} paints the {X.made}. It is {X.colour}. <evening X>"
    ),
}

# How often each is told, out of the sum.
WEIGHTS = {
    "portrait": 6,
    "journey": 4,
    "sum": 2,
    "meeting": 3,
    "visit": 2,
    "search": 2,
    "painting": 3,
}
