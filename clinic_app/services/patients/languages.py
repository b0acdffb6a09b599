"""The languages a patient may prefer: the clinic's, each by the name its speakers give it."""

from __future__ import annotations

from collections.abc import Mapping

from clinic_app.core.settings import get_settings
from clinic_app.core.text_rules import line

#: As Unicode CLDR has them, which is what browsers and telephones show. One that is missing is shown by its tag.
_NAMES = {
    "af": "Afrikaans",
    "am": "አማርኛ",
    "ar": "العربية",
    "bn": "বাংলা",
    "de": "Deutsch",
    "en": "English",
    "es": "español",
    "fa": "فارسی",
    "fr": "français",
    "gu": "ગુજરાતી",
    "ha": "Hausa",
    "hi": "हिन्दी",
    "ig": "Igbo",
    "it": "italiano",
    "kam": "Kikamba",
    "ki": "Gikuyu",
    "kln": "Kalenjin",
    "lg": "Luganda",
    "ln": "lingála",
    "luo": "Dholuo",
    "luy": "Luluhia",
    "mas": "Maa",
    "mer": "Kĩmĩrũ",
    "nl": "Nederlands",
    "ny": "Nyanja",
    "om": "Oromoo",
    "pa": "ਪੰਜਾਬੀ",
    "pl": "polski",
    "pt": "português",
    "rn": "Ikirundi",
    "ru": "русский",
    "rw": "Kinyarwanda",
    "sn": "chiShona",
    "so": "Soomaali",
    "st": "Sesotho",
    "sw": "Kiswahili",
    "ti": "ትግርኛ",
    "tn": "Setswana",
    "tr": "Türkçe",
    "uk": "українська",
    "ur": "اردو",
    "xh": "isiXhosa",
    "yo": "Èdè Yorùbá",
    "zh": "中文",
    "zu": "isiZulu",
}


def language_name(tag: str) -> str:
    """``Kiswahili`` for ``sw``, ``English (GB)`` for ``en-GB``, the tag itself where no name is known."""
    language, _, rest = tag.partition("-")
    name = _NAMES.get(language.lower())
    if name is None:
        return tag
    return f"{name} ({rest})" if rest else name


def clinic_languages() -> Mapping[str, str]:
    """The clinic's languages, in the order of the setting: tag and name."""
    return {tag: language_name(tag) for tag in get_settings().language_tags}


def preferred_language(value: object, label: str = "Preferred language", longest: int = 35) -> str | None:
    """Optional; one of the clinic's languages by its tag (BCP 47), in any case."""
    found = line(value, label, longest)
    if found is None:
        return None
    tags = get_settings().language_tags
    for tag in tags:
        if tag.lower() == found.lower():
            return tag
    raise ValueError(f"{label} must be one of the clinic's languages: {', '.join(tags)}.")
