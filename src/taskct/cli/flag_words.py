"""Messages of functions in the words of a command line: flags in place of arguments of Python."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BOTH = (  # messages that name an argument and its flag: the flag stays
    (r"\b\w+=\S+ \((--[a-z][\w -]*)\)", r"\1"),  # refresh=True (--refresh)
    (r"\(\w+=[^\s,()]+, (--[a-z])", r"(\1"),  # (same_patient=True, --same-patient)
    (r"(--[a-z][\w-]*) \(\w+=\w+\)", r"\1"),  # --overwrite (overwrite=True)
    (r"give it: load_reconstructor\(run, model=\.\.\.\), or (--model \S+) on the command line", r"give \1"),
)
_IN_CONFIG = (  # settings of a method that was written as fbp:window=hann or --set window=hann, and not in a TOML file
    (r"in \[methods\.([^ \]]+)[^\]]*\]", r"of \1"),
    (r"\bmethods\.([^\s:]+?)(?: [^\s:=]+=[^\s:]*)*\.([a-z]\w*)(?=[: ])", r"\2 of \1"),
    (r"\bmethods\.([^\s:]+)(?: [^\s:=]+=[^\s:]*)*:", r"\1:"),
)
_OTHERWISE = r"load it by load_reconstructor\('([^']+)', otherwise='warn'\)"
_SKIPPED = " (skip_bad=True leaves them out)"
_SKIPPED_BY_EACH = "; --each takes every CT on its own and passes over these"
_SKIPPED_BY_STORE = "; taskct data prepare --skip-bad makes a store of the others"
_IN_LISTS, _ALONE, _EACH = ("evaluate", "view"), ("reconstruct", "biplanar"), ("evaluate", "simulate", "reconstruct")


def in_flags(text: str, words: Sequence[str]) -> str:
    """A message, with what to type where it names an argument of Python; `words` are those of the command line.

    >>> in_flags("a.nii: exists already; choose another name or say --overwrite (overwrite=True)", ["simulate"])
    'a.nii: exists already; choose another name or say --overwrite'
    """
    verb = next((word for word in words if not word.startswith("-")), "")
    rules = [*_BOTH]
    if any(word.partition("=")[0] in ("--methods", "--method", "--set") or word.startswith("-m") for word in words):
        rules += _IN_CONFIG
    if verb == "biplanar":
        rules.append((r"\b(grey|trust)=('[^']+')", r"--\1 \2"))
    if verb in _IN_LISTS:
        rules.append((_OTHERWISE, r"type \1:otherwise=warn"))
    if verb == "dose":  # it has no setting for a trained network
        rules.append((f", or {_OTHERWISE}", ""))
    if verb in _ALONE:
        rules.append((_OTHERWISE, "add --set otherwise=warn"))
    for python, typed in rules:
        text = re.sub(python, typed, text)
    skipped = _SKIPPED_BY_EACH if verb in _EACH else _SKIPPED_BY_STORE if verb == "train" else ""
    found = re.search(re.escape(_SKIPPED) + "(?=: )", text)
    if found:
        text = text[: found.start()] + skipped + text[found.end() :]
    return text.replace(", or leave this one out with skip_bad=True", "")
