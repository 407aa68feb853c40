"""Numbers with their nouns, as messages tell them."""


def counted(number: int, noun: str, several: str = "") -> str:
    """`1 image`, `2 images`; `several` is the plural where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"
