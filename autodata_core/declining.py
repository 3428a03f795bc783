"""Whether a reply declines instead of answering, in the languages models apologise in. What follows from it is elsewhere."""

from __future__ import annotations

import re

from autodata_core.lazily import lazy

__all__ = ["is_refusal"]

_READ_CHARS = 2_000
"""A longer text that begins with an apology goes on to answer."""

_WONT = (
    r"can(?:no|['’])t|can not|cannot|won['’]t|will not|must decline to|am (?:unable|not able) to|['’]m (?:unable|not able) to"
    r"|(?:do not|don['’]t) feel comfortable"
)
# An apology declines by itself; "I cannot overstate how …" is an answer, so there what will not be done is named.
_FORMS = (
    r"(?:i['’]?m|i am) (?:really |very |so )?(?:sorry|afraid)\b|sorry\b|i apologi[sz]e\b|i (?:must )?(?:decline|refuse)\b",
    r"as an ai\b|as a (?:large )?language model\b|(?:this|that|your|the) request (?:violates|is against|goes against)",
    rf"(?:unfortunately,? |but )?i ?(?:{_WONT}) (?:help|assist|answer|provide|comply|fulfil|do (?:that|this|so)|complete"
    r"|continue|share|discuss|engage|support|give|create|write|review|judge|mark|grade|with)",
    # German, Dutch
    r"(?:es )?tut mir (?:sehr |wirklich )?leid\b|entschuldig(?:ung|en sie)\b|als ki\b|als sprachmodell\b",
    r"(?:leider )?(?:kann|darf|werde) ich (?:\w+ ){0,4}nicht (?:helfen|beantworten|antworten|bewerten|unterstützen|erfüllen)",
    r"ich (?:kann|darf|werde) (?:\w+ ){0,4}nicht (?:helfen|beantworten|antworten|bewerten|unterstützen|erfüllen)",
    r"het spijt me\b|helaas kan ik\b|ik kan (?:\w+ ){0,4}niet (?:helpen|beantwoorden|beoordelen)",
    # French, Spanish, Italian, Portuguese
    r"(?:je suis )?(?:vraiment )?d[ée]sol[ée]e?\b|en tant qu['’](?:ia|intelligence artificielle|assistant)\b",
    r"(?:malheureusement,? )?je ne (?:peux|puis) pas (?:\w+['’ ]){0,2}(?:aider|répondre|évaluer|noter|fournir|faire|satisfaire)",
    r"lo (?:siento|lamento)\b|como (?:una )?(?:ia|modelo de lenguaje)\b",
    r"(?:lamentablemente,? )?no puedo (?:ayud|respond|contest|evalu|proporcion|cumpl|hacer|calific)\w*",
    r"mi (?:di)?spiace\b|(?:purtroppo,? )?non posso (?:aiut|rispond|valut|forni|fare|soddisf)\w*",
    r"desculpe\b|sinto muito\b|(?:infelizmente,? )?(?:eu )?n[ãa]o posso (?:ajud|respond|avali|fornec|faz)\w*",
    # Polish, Russian, Turkish
    r"przykro mi\b|przepraszam\b|(?:niestety,? )?nie mogę (?:pomóc|odpowiedzieć|ocenić)",
    r"извините\b|простите\b|прошу прощения\b|мне (?:очень )?жаль\b",
    r"(?:к сожалению,? )?я не (?:могу|буду) (?:\w+ ){0,3}(?:помочь|помогать|ответить|отвечать|оценить|выполнить|предоставить)",
    r"(?:çok )?üzgünüm\b|maalesef [^.\n]{0,60}(?:amam|emem|amıyorum|emiyorum)\b",
    # Chinese, Japanese, Korean
    r"(?:我?(?:很|非常|十分|感到)?)(?:抱歉|对不起|對不起)|作为(?:一个|一名)?(?:ai|人工智能|语言模型)",
    r"我(?:无法|無法|不能|不可以|拒绝|拒絕)(?:为您|為您|对此|對此)?(?:回答|提供|协助|協助|帮|幫|完成|评|評|满足|滿足)",
    r"(?:大変)?申し訳|すみません|ごめんなさい|お(?:答え|手伝い)(?:することは|は)?でき(?:ません|かねます)",
    r"죄송|미안(?:하지만|합니다)|도와\s?드릴 수 없|답변(?:해 드릴|할) 수 없",
    # Arabic, Persian, Hindi
    r"(?:أنا )?آسف|أعتذر|عذر[اًا]|لا (?:أستطيع|يمكنني) (?:المساعدة|مساعدت|الإجابة|تقييم|تقديم)",
    r"(?:من )?متأسف|متاسف|ببخشید|(?:من )?نمی[\u200c ]?توانم (?:کمک|پاسخ|به این|این)",
    r"क्षमा करें|मुझे (?:खेद|अफ़सोस|अफसोस) है|माफ़? ?(?:करें|कीजिए|कीजिये)",
)
_REFUSAL = lazy(rf"\A\W*(?:{'|'.join(_FORMS)})", re.IGNORECASE)


def is_refusal(text: str) -> bool:
    """Return whether a text begins as refusals do."""
    return len(text) < _READ_CHARS and _REFUSAL.match(text) is not None
