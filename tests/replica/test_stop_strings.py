"""Law of the stop strings: however a text is cut into pieces, it ends at the same place."""

from hypothesis import example, given
from hypothesis import strategies as st

from skyserve_llm.replica.answer import StopCutter

texts = st.text(alphabet="abc", max_size=30)
stops = st.lists(st.text(alphabet="abc", min_size=1, max_size=4), max_size=3)


def cut(pieces: list[str], stop: list[str]) -> str:
    cutter, out = StopCutter(stop), ""
    for piece in pieces:
        out += cutter.feed(piece)
        if cutter.found:
            return out
    return out + cutter.rest()


def ends_at(text: str, stop: list[str]) -> str:
    """The same, said plainly: read on until some stop string is complete."""
    for end in range(len(text) + 1):
        found = [s for s in stop if text[:end].endswith(s)]
        if found:
            return text[: end - len(max(found, key=len))]
    return text


@given(texts, stops, st.data())
def test_the_cut_does_not_depend_on_the_pieces(
    text: str, stop: list[str], data: st.DataObject
) -> None:
    marks = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *marks], [*marks, len(text)], strict=True)]
    assert cut(pieces, stop) == ends_at(text, stop)


@given(texts, stops)
@example("abab", ["abc"])
def test_what_has_left_is_never_taken_back(text: str, stop: list[str]) -> None:
    cutter, out = StopCutter(stop), ""
    for letter in text:
        if cutter.found:
            break
        out += cutter.feed(letter)
        assert ends_at(text, stop).startswith(out)
    assert not any(s in out for s in stop)
