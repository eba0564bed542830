"""Lists on the command line with spaces as well as commas.

In: a program's words, names of its list flags. Out: the words, in which
`--labels 8 17 all` has become `--labels=8,17,all`, as absl reads lists.
"""

from collections.abc import Collection


def joined(words: list[str], names: Collection[str]) -> list[str]:
    """Joins bare words to the list flag before them; leaves all else.

    Args:
      words: as sys.argv, the program first.
      names: of the list flags, without dashes.
    """
    out, sign = words[:1], ""  # what joins a bare word to the flag before
    for place, word in enumerate(words[1:], 1):
        if word == "--":
            return out + words[place:]
        if word.startswith("-"):
            name, equals, _ = word.lstrip("-").partition("=")
            sign = ("," if equals else "=") if name in names else ""
            out.append(word)
        elif sign:
            out[-1] = f"{out[-1].rstrip(',')}{sign}{word}"
            sign = ","
        else:
            out.append(word)
    return out
