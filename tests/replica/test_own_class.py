"""A chat class of the user's own: real replicas that serve one, one beside others, and none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from skyserve_llm.replica.launch import main

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
Start = Callable[..., Any]

CLASSES = '''
import threading
from pathlib import Path

class Echo:
    """Says what it was told, a word at a time."""

    def __init__(self, before=""):
        self.before = before

    def chat(self, messages, max_tokens, temperature=1.0, seed=None):
        if self.before:
            yield self.before
        for word in messages[-1]["content"].split():
            yield word + " "
        if temperature == 0:
            yield f"(seed {seed})"

    def turns(self, messages):
        for message in messages:
            yield f"{message['role']}:{message['content']};"

    def count_letters(self, text):
        return len(text)

    def answer(self, messages):
        return "no generator"


class Counting(Echo):
    def count_tokens(self, text):
        return len(text)


class Failing:
    def chat(self, messages):
        yield "a"
        raise ValueError("secret words")


class Waiting:
    """Goes on for ever; writes a dot for each piece, and a full stop when it is closed."""

    def __init__(self, dots):
        self.dots = Path(dots)

    def chat(self, messages):
        if messages[-1]["content"] != "wait":
            yield "here"
            return
        try:
            while True:
                yield "x "
                with self.dots.open("a") as file:
                    file.write(".")
        finally:
            with self.dots.open("a") as file:
                file.write("!")


class Broken:
    def __init__(self):
        raise OSError("no such weights")

    def chat(self, messages):
        yield "never"
'''


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("classes") / "chat.py"
    file.write_text(CLASSES)
    return file


def flags(classes: Path, name: str, *more: str, served: str | None = None) -> tuple[str, ...]:
    path = str(classes)
    model = served or name.lower()
    return (model, "--engine", "python", "--model-path", path, "--model-cls", name, *more)


@pytest.fixture(scope="module")
def three(start_shared: Start, classes: Path) -> Any:
    """Two classes and a simulated model in one process."""
    return start_shared(
        *("--and", *flags(classes, "Counting")),
        *("--and", *flags(classes, "Failing")),
        *("--and", "org/model", "--engine", "simulated", "--ttft-ms", "0", "--tpot-ms", "0"),
        served=flags(classes, "Echo"),
    )


@pytest.fixture
def http(three: Any) -> Iterator[httpx.Client]:
    with three.client() as client:
        yield client


def ask(http: httpx.Client, model: str, content: str, **more: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": content}], **more}
    response = http.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def text_of(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def test_the_method_is_given_what_it_has_parameters_for(http: httpx.Client) -> None:
    answer = ask(http, "echo", "one two", temperature=0, seed=3)
    assert text_of(answer) == "one two (seed 3)"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


def test_pieces_stream_as_they_are_yielded(http: httpx.Client) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "a b c"}], "stream": True}
    with http.stream("POST", CHAT, json=body) as stream:
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    assert sum('"content":"' in line for line in lines) == 4  # the role's, and three words
    assert lines[-1] == "data: [DONE]"


def test_a_class_may_count_its_tokens(http: httpx.Client) -> None:
    answer = ask(http, "counting", "ab cd")
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}


def test_max_tokens_ends_an_answer_that_goes_on(http: httpx.Client) -> None:
    answer = ask(http, "echo", "a b c d", max_tokens=2)
    assert text_of(answer) == "a b "
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


def test_stop_strings_end_it_too(http: httpx.Client) -> None:
    assert text_of(ask(http, "echo", "a b c d", stop="c")) == "a b "


def test_a_completions_prompt_is_the_users_message(http: httpx.Client) -> None:
    body = {"model": "echo", "prompt": "so it is"}
    assert http.post(COMPLETIONS, json=body).json()["choices"][0]["text"] == "so it is "


def test_each_model_answers_to_its_name(http: httpx.Client) -> None:
    cards = http.get("/v1/models").json()["data"]
    assert [card["id"] for card in cards] == ["echo", "counting", "failing", "org/model"]
    assert http.get("/v1/models/org/model").json()["root"] == "org/model"
    assert text_of(ask(http, "org/model", "hello")).startswith("[simulated]")
    assert ask(http, "counting", "hello")["model"] == "counting"


def test_a_name_that_is_none_of_them(http: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    unknown = http.post(CHAT, json={**body, "model": "gpt-9"})
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "model_not_found"
    for name in ("echo", "counting", "org/model"):
        assert name in unknown.json()["error"]["message"]
    unnamed = http.post(CHAT, json=body)
    assert unnamed.status_code == 400
    assert unnamed.json()["error"]["param"] == "model"


def test_an_error_of_the_class_says_nothing_of_its_words(three: Any, http: httpx.Client) -> None:
    body = {"model": "failing", "messages": [{"role": "user", "content": "hello"}]}
    assert http.post(CHAT, json=body).status_code == 500
    with (
        http.stream("POST", CHAT, json={**body, "stream": True}) as stream,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        list(stream.iter_lines())
    logged = three.log_file.read_text()
    assert "ValueError" in logged
    assert "chat.py" in logged
    assert "secret words" not in logged


def test_the_class_is_made_with_arguments_and_another_method_may_answer(
    start: Start, classes: Path
) -> None:
    more = ("--init-kwargs", '{"before": "> "}', "--served-model-name", "mine")
    replica = start(served=flags(classes, "Echo", *more))
    with replica.client() as http:
        assert text_of(ask(http, "mine", "hello")) == "> hello "
    replica = start(served=flags(classes, "Echo", "--method", "turns"))
    messages = [{"role": "system", "content": "be"}, {"role": "user", "content": "short"}]
    with replica.client() as http:
        answer = http.post(CHAT, json={"messages": messages}).json()
    assert text_of(answer) == "system:be;user:short;"


def test_a_client_that_leaves_closes_the_generator(
    start: Start, classes: Path, tmp_path: Path
) -> None:
    dots = tmp_path / "dots"
    dots.touch()
    replica = start(served=flags(classes, "Waiting", "--init-kwargs", f'{{"dots": "{dots}"}}'))
    body = {"messages": [{"role": "user", "content": "wait"}], "stream": True}
    with replica.client() as http:
        with http.stream("POST", CHAT, json=body) as stream:
            next(stream.iter_lines())
        replica.wait_until(lambda: dots.read_text().endswith("!"))
        assert text_of(ask(http, "waiting", "and now")) == "here"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--model-path", "/nowhere.py", "--model-cls", "Echo"), "/nowhere.py is not a file"),
        (("--model-path", "CLASSES"), "needs a class"),
        (("--model-path", "CLASSES", "--model-cls", "Ecco"), "has no class Ecco"),
        (
            ("--model-path", "CLASSES", "--model-cls", "Echo", "--method", "answer"),
            "Echo.answer is not a method that yields text",
        ),
        (
            ("--model-path", "CLASSES", "--model-cls", "Echo", "--init-kwargs", "[1]"),
            "--init-kwargs",
        ),
    ],
)
def test_a_class_that_cannot_be_served_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], classes: Path, more: tuple[str, ...], words: str
) -> None:
    words_of = [str(classes) if word == "CLASSES" else word for word in more]
    assert main(["mine", "--engine", "python", "--port", "0", *words_of]) == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("error: ")
    assert words in first
    assert rest == [] or (rest[0] == "" and rest[1].startswith("hint: "))


def test_a_file_that_cannot_be_imported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "needs.py"
    file.write_text("import no_such_library\n")
    assert main(["mine", "--engine", "python", "--port", "0", *flags(file, "Echo")[3:]]) == 2
    error = capsys.readouterr().err
    assert "No module named 'no_such_library'" in error
    assert "must be installed" in error


def test_a_class_that_cannot_be_made_ends_the_replica(run: Any, classes: Path) -> None:
    ended = run(*flags(classes, "Broken"), "--port", "0")
    assert ended.returncode == 2
    last = ended.stderr.splitlines()[-1]
    assert last == "error: class Broken cannot be made: OSError: no such weights"
    assert "Traceback" not in ended.stderr


def test_two_models_of_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    simulated = ("org/model", "--engine", "simulated")
    assert main([*simulated, "--and", *simulated]) == 2
    assert "two models are served as 'org/model'" in capsys.readouterr().err


def test_ready_means_that_every_model_has_made_a_token(start: Start, classes: Path) -> None:
    silent = classes.with_name("silent.py")
    silent.write_text("class Silent:\n    def chat(self, messages):\n        yield from ()\n")
    served = flags(classes, "Echo")
    replica = start("--and", *flags(silent, "Silent"), served=served, wait_ready=False)
    replica.wait_until(lambda: "without a token" in replica.health().text)
    assert replica.health().status_code == 503
    with replica.client() as http:
        assert text_of(ask(http, "echo", "hello")) == "hello "
