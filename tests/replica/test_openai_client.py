"""OpenAI's own client against a real replica: what most callers will use.

The replica is slow to its first token and sends keep-alive comments until then, which the
client must not notice.
"""

from collections.abc import Iterator

import httpx
import openai
import pytest

KEY = "sk-client"
MODEL = "org/model"
MESSAGES = [{"role": "user", "content": "What does it cost?"}]


@pytest.fixture(scope="module")
def url(start_shared) -> str:
    flags = ("--ttft-ms", "120", "--tpot-ms", "0", "--keep-alive-s", "0.02")
    return f"{start_shared(*flags, env={'LLMBUDGET_API_KEY': KEY}).url}/v1"


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    http_client = httpx.Client(trust_env=False)
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, http_client=http_client) as opened:
        yield opened


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


def test_chat_streamed_and_not(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    text = answer.choices[0].message.content
    assert text is not None
    assert text.startswith("[simulated]")
    with client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ) as stream:
        *chunks, last = stream
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == text
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage == answer.usage


def test_completions_streamed_and_not(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="It", max_tokens=9)
    with client.completions.create(model=MODEL, prompt="It", max_tokens=9, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == answer.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "length"


def test_an_answer_continued_with_vllms_fields(client: openai.OpenAI) -> None:
    full = client.chat.completions.create(model=MODEL, messages=MESSAGES).choices[0].message.content
    assert full is not None
    half = {"role": "assistant", "content": full[:50]}
    rest = client.chat.completions.create(
        model=MODEL,
        messages=[*MESSAGES, half],
        extra_body={"continue_final_message": True, "add_generation_prompt": False},
    )
    assert rest.choices[0].message.content == full[50:]


def test_errors_become_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-9", messages=MESSAGES)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, n=2)
    assert wrong.value.param == "n"
    with pytest.raises(openai.AuthenticationError) as locked:
        client.with_options(api_key="sk-wrong").models.list()
    assert locked.value.code == "invalid_api_key"
