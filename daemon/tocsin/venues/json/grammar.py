"""The keys of a description: one table, by which it is checked, of which its JSON Schema and its reference are made.

A form says what may stand somewhere. A `Block` is a mapping of named keys, listed in `BLOCKS`.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias


class Text(NamedTuple):
    """One value. `words`: it is one of these. `like`: what it is, for people; texts and URLs are always `one_line`."""

    like: Literal["text", "path", "template", "duration", "url", "number", "word"] = "text"
    words: tuple[str, ...] = ()
    one_line: bool = False


class Flag(NamedTuple):
    """true or false."""


class Anything(NamedTuple):
    """A value, list or mapping of any shape: what is sent as JSON."""


class Block(NamedTuple):
    """A mapping with the keys of `BLOCKS[name]`."""

    name: str


class Many(NamedTuple):
    """A list, of at most so many."""

    of: "Form"
    most: int = 1000


class Named(NamedTuple):
    """A mapping with names of the author's own, at most so many."""

    of: "Form"
    most: int = 1000


class Either(NamedTuple):
    """Several forms, at most one each that is a value, a list, a mapping."""

    forms: tuple["Form", ...]


class Nothing(NamedTuple):
    """An empty value: none."""


Form: TypeAlias = Text | Flag | Anything | Block | Many | Named | Either | Nothing


class Key(NamedTuple):
    form: Form
    doc: str
    needed: bool = False


PATH = Text("path")
TEMPLATE = Text("template")
WORDS = Either((Text("word"), Many(Text("word"))))
UNIT = Text(words=("s", "ms", "us", "ns", "iso"))
HASHES = ("sha256", "sha384", "sha512")
FIELD = Either((PATH, Many(Either((PATH, Block("field")))), Block("field")))
OURS = Either((Text("word"), Nothing(), Block("field")))
CONDITION = Named(Either((Text("word"), Nothing(), Many(Text("word")), Block("test"))))
OVER = Either((TEMPLATE, Many(Either((TEMPLATE, Block("digest"))), 20), Block("digest")))
RECIPE = Either((TEMPLATE, Block("recipe")))
LET = Named(RECIPE, 50)
TEMPLATES = Named(TEMPLATE, 64)
ASKED = Either((Many(Block("asked"), 10), Block("asked")))

_REQUEST: dict[str, Key] = {
    "get": Key(TEMPLATE, "the URL that is asked by GET"),
    "post": Key(TEMPLATE, "the URL that is asked by POST"),
    "let": Key(LET, "values that are put together before, in order"),
    "headers": Key(TEMPLATES, "its headers"),
    "query": Key(TEMPLATES, "what is added to the URL, percent-encoded"),
    "form": Key(TEMPLATES, "a body as forms have it"),
    "json": Key(Anything(), "a body of JSON"),
    "refused": Key(Many(Block("refusal")), "by what an answer is known for a refusal"),
}

BLOCKS: Mapping[str, Mapping[str, Key]] = {
    "description": {
        "summary": Key(Text(), "one line: which venue, which stream", needed=True),
        "sources": Key(Many(Text("url")), "where the venue documents it"),
        "tried": Key(
            Text(words=("documents", "stand-in", "live")),
            "how far it was tried: against the documents' messages, a stand-in for the venue, or the venue itself",
            needed=True,
        ),
        "hosts": Key(Many(Text()), "the hosts it may connect to; what lies below them, too", needed=True),
        "given": Key(Named(Either((Nothing(), Block("given")))), "what the config has to give"),
        "urls": Key(Named(Text("url")), "addresses that the config may replace"),
        "times": Key(UNIT, "the unit of every time that doesn't say its own"),
        "missing": Key(Many(Text("word")), "words that mean none, everywhere"),
        "called": Key(PATH, "how a message calls itself, for what isn't recognized"),
        "sign_in": Key(Block("sign_in"), "what is asked and put together before connecting"),
        "sockets": Key(Named(Block("socket"), 10), "the connections, by name", needed=True),
        "answers": Key(
            Many(Block("answer")), "messages that are no news: acknowledgements, refusals, pongs; the first that fits counts"
        ),
        "maps": Key(Named(Named(OURS)), "tables of words, for `map: NAME`"),
        "things": Key(Named(Block("thing")), "what parts of messages tell of", needed=True),
        "messages": Key(Many(Block("message")), "which part of which message gives what; every one that fits counts", needed=True),
        "snapshot": Key(Many(Block("snapshot"), 50), "what is asked after each connect"),
        "ask": Key(Block("ask"), "how one thing is asked for that a full snapshot no longer has"),
        "examples": Key(Many(Block("example")), "messages, and what they mean: run by `tocsin test`"),
    },
    "given": {
        "secret": Key(Flag(), "false: it may be shown"),
        "default": Key(Text("word", one_line=True), "what it is where the config doesn't say"),
        "about": Key(Text(), "what it is, and where it is had"),
    },
    "sign_in": {
        "steps": Key(Many(Block("step"), 10), "requests, in order"),
        "let": Key(LET, "values that are put together last, in order"),
        "renew_after": Key(Text("duration"), "when it is done anew"),
    },
    "step": _REQUEST | {"take": Key(Named(PATH), "values that the answer has: name: path")},
    "snapshot": _REQUEST
    | {
        "messages": Key(Many(Block("picked")), "which part of the answer gives what", needed=True),
        "limit": Key(Text("number"), "so many rows an answer has at most: as many are no full picture"),
    },
    "ask": {"order": Key(
            ASKED, "one order, by its {{id}} and {{symbol}}; of several requests the first that knows it counts"
        ),
        "position": Key(ASKED, "one position, in the same way")},
    "asked": _REQUEST
    | {
        "each": Key(PATH, "where in the answer it stands"),
        "gives": Key(Text(), "the thing it is", needed=True),
    },
    "refusal": {
        "when": Key(CONDITION, "what the answer has then", needed=True),
        "reason": Key(TEMPLATE, "the venue's words: a text with {{path}}s"),
        "verdict": Key(
            Text(words=("auth_failed", "retry", "empty")),
            "auth_failed: the credentials are refused; empty: there is nothing, which is no fault (in `ask:` the thing stays unconfirmed); else it is tried again",
        ),
    },
    "socket": {
        "url": Key(TEMPLATE, "the address: wss://…", needed=True),
        "headers": Key(TEMPLATES, "headers of the handshake"),
        "ping": Key(Block("ping"), "what the venue wants to hear, besides the protocol's pings"),
        "open": Key(Many(Block("request"), 100), "what is said when it is open, in order"),
        "market_data": Key(Flag(), "it pushes all the time: its absence is a silence"),
    },
    "ping": {
        "send": Key(Anything(), "a structure, sent as JSON, or a text, sent as it stands", needed=True),
        "every": Key(Text("duration"), "how often", needed=True),
    },
    "request": {
        "name": Key(Text(), "what its answers are about", needed=True),
        "send": Key(Anything(), "a structure, sent as JSON, or a text, sent as it stands", needed=True),
        "answered": Key(Flag(), "false: no answer comes"),
        "required": Key(Flag(), "an auth message: without its answer the connection failed"),
        "market_data": Key(Flag(), "its pushes come all the time: their absence is a silence"),
    },
    "answer": {
        "when": Key(CONDITION, "what the message has"),
        "text": Key(Text("word"), "the whole message, where it is no JSON: pong"),
        "accepts": Key(TEMPLATE, "acknowledges the request of that name: a text with {{path}}s"),
        "refuses": Key(TEMPLATE, "refuses the request of that name; empty: it doesn't say which"),
        "reason": Key(TEMPLATE, "the venue's words: a text with {{path}}s"),
        "verdict": Key(
            Text(words=("refused", "auth_failed", "retry")),
            "what is refused: this stream, the credentials; retry: sign in and connect anew",
        ),
        "reply": Key(TEMPLATE, "what is sent back: a text with {{path}}s, digit for digit"),
        "is": Key(Text(words=("control",)), "control: understood, and of no interest"),
        "private": Key(Flag(), "kept out of recordings"),
    },
    "test": {
        "begins": Key(Text("word"), "a text that begins so"),
        "there": Key(Flag(), "whether it is there"),
        "zero": Key(Flag(), "whether it is a zero, however it is written"),
        "not": Key(Either((Text("word"), Nothing(), Many(Text("word")), Block("test"))), "everything else"),
    },
    "thing": {
        "kind": Key(Text(), "which kind of thing; else its name says it"),
        "account": Key(FIELD, "the account it belongs to"),
        "time": Key(FIELD, "when it happened"),
        "event": Key(Text(), "what happened, where the message itself says it: one of the kind's events, always this"),
        "fields": Key(Named(FIELD), "the kind's fields: `tocsin fields KIND`", needed=True),
    },
    "field": {
        "path": Key(PATH, "where it stands in the part; $. begins a path of the whole message"),
        "text": Key(TEMPLATE, "put together: a text with {{path}}s"),
        "sum": Key(Many(PATH), "numbers, added exactly; each must be there"),
        "is": Key(Text("word"), "always this"),
        "time": Key(UNIT, "the unit of this time"),
        "missing": Key(Many(Text("word")), "words and numbers that mean none here"),
        "abs": Key(Flag(), "the number without its sign"),
        "negate": Key(Flag(), "the number with the other sign"),
        "times": Key(Text("number"), "a factor, exactly"),
        "map": Key(Either((Text(), Named(OURS))), "our words for theirs, or the name of a table of `maps:`"),
        "sign": Key(Block("sign"), "a word by the number's sign"),
        "only": Key(CONDITION, "said only where the part is so"),
        "else": Key(OURS, "what it is otherwise: of `only:`, else of words that `map:` doesn't list"),
        "keep": Key(Flag(), "a word that `map:` doesn't list stays as it is"),
    },
    "sign": {
        "negative": Key(Either((Text("word"), Nothing())), "below zero"),
        "zero": Key(Either((Text("word"), Nothing())), "zero"),
        "positive": Key(Either((Text("word"), Nothing())), "above zero"),
        "else": Key(Either((Text("word"), Nothing())), "those of the three that aren't named"),
    },
    "message": {
        "when": Key(CONDITION, "what the message has; else any"),
        "each": Key(PATH, "the parts: a path; data[] is each of a list; else the whole message"),
        "only": Key(CONDITION, "parts that are so; others are control"),
        "gives": Key(Text(), "the thing that each part is", needed=True),
        "stream": Key(Text(), "the request or socket that it was pushed for"),
        "snapshot": Key(Either((Flag(), CONDITION)), "it is an opening state, always or when it is so"),
        "whole": Key(Flag(), "as a snapshot it is a full picture of the kind"),
    },
    "picked": {
        "each": Key(PATH, "the parts: a path; list[] is each of a list"),
        "only": Key(CONDITION, "parts that are so"),
        "gives": Key(Text(), "the thing that each part is", needed=True),
        "complete": Key(Flag(), "false: no full picture of the kind, such as a history"),
    },
    "recipe": {
        "time": Key(Text(words=("s", "ms", "us", "iso")), "the time now, in this unit"),
        "plus": Key(Text("duration"), "so much later"),
        "hmac": Key(Text(words=HASHES), "a signature, by this hash"),
        "key": Key(TEMPLATE, "its key"),
        "key_as": Key(Text(words=("text", "base64", "hex")), "how the key is written; else text"),
        "hash": Key(Text(words=("md5", *HASHES)), "a hash"),
        "over": Key(OVER, "what is signed or hashed: a template, or a list of templates and hashes"),
        "as": Key(Text(words=("hex", "base64")), "how the result is written; else hex"),
        "base64": Key(TEMPLATE, "this text in base64"),
    },
    "digest": {
        "hash": Key(Text(words=("md5", *HASHES)), "a hash, of which the bytes are taken", needed=True),
        "over": Key(TEMPLATE, "what is hashed", needed=True),
    },
    "example": {
        "about": Key(Text(), "what it shows"),
        "message": Key(Anything(), "the message: a structure, or its text", needed=True),
        "gives": Key(Many(Anything()), "what it means, in order", needed=True),
    },
}  # fmt: skip

LATER: Mapping[str, tuple[str, ...]] = {
    "recipe": ("jwt",),
    "snapshot": ("pages",),
    "socket": ("frames",),
}
"""Keys that are meant to be, and aren't built."""

BLOCK_NAMES: Mapping[str, str] = {
    "description": "A description",
    "given": "One of `given:`",
    "sign_in": "`sign_in:`",
    "step": "A step of `sign_in:`",
    "snapshot": "A request of `snapshot:`",
    "ask": "`ask:`",
    "asked": "A request of `ask:`",
    "refusal": "One of `refused:`",
    "socket": "One of `sockets:`",
    "ping": "`ping:`",
    "request": "One of `open:`",
    "answer": "One of `answers:`",
    "test": "A test of `when:` and `only:`; else a word, a list of words, or null for what is missing",
    "thing": "One of `things:`",
    "field": "A field, where it isn't only a path, or a list of which the first counts that says something",
    "sign": "`sign:`",
    "message": "One of `messages:`",
    "picked": "One of the `messages:` of a snapshot",
    "recipe": "A value of `let:`, where it isn't a text with {{names}}",
    "digest": "A hash within `over:`",
    "example": "One of `examples:`",
}
"""What each is, for people."""
