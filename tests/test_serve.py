"""`llmpath serve`: the real command, asked by OpenAI's own client, by rude ones, and by fifty."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import tiny_llama
from conftest import LLMPATH, MAKER, SMALL_COURSE, Learner, environment

HEADERS = {"content-type": "application/json"}
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"


@dataclass
class Server:
    """A server that is running.

    Attributes:
        url: where.
        folder: of its model.
    """

    url: str
    folder: Path
    process: subprocess.Popen[str]

    def client(self) -> openai.OpenAI:
        """OpenAI's own client."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0)

    def metric(self, name: str) -> float:
        """A number of /metrics."""
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found is not None, text
        return float(found[1])

    def settles(self, name: str, value: float) -> bool:
        """Whether a number of /metrics becomes a value, before long."""
        until = time.monotonic() + 20
        while self.metric(name) != value:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True


@contextmanager
def serving(tmp_path: Path, *options: str, slow: bool = False) -> Iterator[Server]:
    """The command, with a model that chats; slow, with one that writes a's."""
    folder = tiny_llama.write(tmp_path / "chatty", chats=True)
    course = tmp_path / "course"
    shutil.copytree(SMALL_COURSE, course)
    lab = course / "labs" / "adding"
    keys = "makes: [tiny]\n" + ("provides: {model: Model, memory: Memory}\n" if slow else "")
    text = (lab / "lab.yaml").read_text()
    (lab / "lab.yaml").write_text(text.replace("limits:", f"{keys}limits:", 1))
    (lab / "experiment.py").write_text(MAKER.replace("FOLDER", repr(str(folder))))
    if slow:
        with (lab / "lab.py").open("a") as file:
            file.write(tiny_llama.SLOW)
    variables = {**environment(tmp_path / "cache"), "LLMPATH_COURSE": str(course)}
    process = subprocess.Popen(
        [*LLMPATH, "serve", "--port", "0", *options],
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield Server(_address(process), folder, process)
    finally:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Chat page"):
            return line.split()[-1]
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--places", "1", "--queue", "1", "--timeout", "3")
    with serving(tmp_path_factory.mktemp("slow"), *options, slow=True) as started:
        yield started


def expected(server: Server, said: str, tokens: int) -> str:
    """What transformers answers."""
    written = f"<|user|>{said}<|end|><|assistant|>"
    return tiny_llama.likeliest(server.folder, written, tokens).lstrip()


def test_the_official_client_chats(server: Server) -> None:
    """An answer is what transformers would give, with its tokens counted."""
    got = server.client().chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "the"}],
        temperature=0,
        max_tokens=9,
    )
    assert got.choices[0].message.content == expected(server, "the", 9)
    assert got.choices[0].finish_reason == "length"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (4, 9)


def test_the_official_client_streams(server: Server) -> None:
    """The pieces joined are the answer; the last one says how it ended, then come the tokens."""
    pieces = list(
        server.client().chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": [{"type": "text", "text": "an wall"}]}],
            temperature=0,
            max_completion_tokens=9,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *spoken, last, counted = pieces
    assert spoken[0].choices[0].delta.role == "assistant"
    said = "".join(piece.choices[0].delta.content or "" for piece in spoken)
    assert said == expected(server, "an wall", 9)
    assert last.choices[0].finish_reason == "length"
    assert counted.choices == []
    assert counted.usage is not None
    assert counted.usage.completion_tokens == 9


def test_the_official_client_completes_texts_and_lists_models(server: Server) -> None:
    """Texts go on, stop where they are told to, and are the same again with the same seed."""
    client = server.client()
    asked: dict[str, Any] = {"model": "tiny", "prompt": "the wall", "max_tokens": 12}
    text = client.completions.create(**asked, temperature=0).choices[0].text
    assert text == tiny_llama.likeliest(server.folder, "the wall", 12)
    stop = text[2:4]
    cut = client.completions.create(**asked, temperature=0, stop=[stop]).choices[0]
    assert (cut.text, cut.finish_reason) == (text[: text.index(stop)], "stop")
    first, again = (client.completions.create(**asked, seed=7).choices[0].text for _ in range(2))
    assert first == again
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").model_dump()["chats"] is True


def test_fifty_clients_at_once_get_their_own_answers(server: Server) -> None:
    """Nothing is lost and nothing is mixed up, streaming or not."""
    asked = [f"the {number} wall" for number in range(50)]

    async def ask(client: openai.AsyncOpenAI, said: str, stream: bool) -> str:
        options: dict[str, Any] = {
            "model": "tiny",
            "messages": [{"role": "user", "content": said}],
            "temperature": 0,
            "max_tokens": 12,
        }
        if not stream:
            got = await client.chat.completions.create(**options)
            return str(got.choices[0].message.content)
        pieces = await client.chat.completions.create(**options, stream=True)
        return "".join([piece.choices[0].delta.content or "" async for piece in pieces])

    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="none", max_retries=0
        ) as client:
            tasks = [ask(client, said, number % 2 == 0) for number, said in enumerate(asked)]
            return await asyncio.gather(*tasks)

    assert asyncio.run(all_of_them()) == [expected(server, said, 12) for said in asked]
    assert server.settles("llmpath_active_requests", 0)
    assert server.metric("llmpath_waiting_requests") == 0


def test_fifty_conversations_at_once_go_on_from_their_own_words(server: Server) -> None:
    """Each turn is what transformers answers to all before it, though most of it is not read again.

    All begin with the same words, take turns, and one in five has an answer written once more.
    """
    before = server.metric("llmpath_reused_tokens_total")
    used: list[tuple[int, int]] = []

    async def talk(client: openai.AsyncOpenAI, number: int) -> list[tuple[str, str]]:
        messages: list[Any] = [{"role": "system", "content": "w"}]
        found = []
        for turn in range(3):
            messages.append({"role": "user", "content": f"{number} {turn}"})
            for _ in range(1 + (number % 5 == turn)):
                got = await client.chat.completions.create(
                    model="tiny", messages=messages, temperature=0, max_tokens=4
                )
                said = str(got.choices[0].message.content)
                written = "".join(f"<|{m['role']}|>{m['content']}<|end|>" for m in messages)
                found.append((f"{written}<|assistant|>", said))
                assert got.usage is not None
                assert got.usage.prompt_tokens_details is not None
                cached = got.usage.prompt_tokens_details.cached_tokens
                used.append((got.usage.prompt_tokens, cached or 0))
            messages.append({"role": "assistant", "content": said})
        return found

    async def all_of_them() -> list[list[tuple[str, str]]]:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="none", max_retries=0
        ) as client:
            return await asyncio.gather(*(talk(client, number) for number in range(50)))

    for talked in asyncio.run(all_of_them()):
        for written, said in talked:
            assert said == tiny_llama.likeliest(server.folder, written, 4).lstrip()
    asked, reused = (sum(column) for column in zip(*used, strict=True))
    assert server.metric("llmpath_reused_tokens_total") - before == reused
    assert asked / 3 < reused < asked


HELLO = {"messages": [{"role": "user", "content": "hi"}], "model": "tiny"}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (CHAT, b"", 400, "invalid_json"),
        (CHAT, b"{", 400, "invalid_json"),
        (CHAT, b"\xff\xfe{}", 400, "invalid_json"),
        (CHAT, b"[" * 100_000, 400, "invalid_json"),
        (CHAT, b"[]", 400, "invalid_value"),
        (CHAT, {}, 400, "invalid_value"),
        (CHAT, {**HELLO, "messages": []}, 400, "invalid_value"),
        (CHAT, {**HELLO, "messages": [{"role": "cat", "content": "hi"}]}, 400, "invalid_value"),
        (CHAT, {**HELLO, "model": "gpt-9"}, 404, "model_not_found"),
        (CHAT, {**HELLO, "n": 2}, 400, "invalid_value"),
        (CHAT, {**HELLO, "tools": [{}]}, 400, "invalid_value"),
        (CHAT, {**HELLO, "max_token": 5}, 400, "unknown_parameter"),
        (CHAT, {**HELLO, "max_tokens": 0}, 400, "invalid_value"),
        (CHAT, {**HELLO, "max_tokens": 10**9}, 400, None),
        (CHAT, {**HELLO, "temperature": -1}, 400, "invalid_value"),
        (CHAT, {**HELLO, "temperature": "hot"}, 400, "invalid_value"),
        (CHAT, {**HELLO, "stop": ["x"] * 5}, 400, "invalid_value"),
        (CHAT, {**HELLO, "stop": [""]}, 400, "invalid_value"),
        (CHAT, {**HELLO, "stream": True, "max_tokens": 0}, 400, "invalid_value"),
        (TEXT, {"model": "tiny", "prompt": "x" * 64}, 400, "context_length_exceeded"),
        (TEXT, {"model": "tiny", "prompt": "x" * 64, "stream": True}, 400,
         "context_length_exceeded"),
        (TEXT, {"model": "tiny", "prompt": ["a", "b"]}, 400, "invalid_value"),
        (TEXT, {"model": "tiny", "prompt": "x" * 300_000}, 413, "request_too_large"),
        ("/v1/embeddings", {}, 404, "not_found"),
        ("/health", {}, 405, "method_not_allowed"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(
    server: Server, path: str, body: Any, status: int, code: str | None
) -> None:
    """Each wrong request gets its status and an error of OpenAI's form, and costs nothing else."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    got = httpx.post(server.url + path, content=content, headers=HEADERS, timeout=60)
    assert got.status_code == status, got.text
    error = got.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert "Traceback" not in got.text
    assert httpx.get(f"{server.url}/health", timeout=60).json() == {"status": "ok"}


def test_pages_of_other_sites_cannot_use_it(server: Server) -> None:
    """A body that a browser sends unasked, and a name that was made point here, are refused."""
    got = httpx.post(server.url + CHAT, content=json.dumps(HELLO), timeout=60)
    assert got.status_code == 415
    got = httpx.get(server.url, headers={"host": "evil.example"}, timeout=60)
    assert got.status_code == 400


def test_a_client_that_goes_away_frees_its_place(slow: Server) -> None:
    """An aborted stream, an aborted request and an aborted wait all leave nothing behind."""
    asked = {"model": "tiny", "prompt": "b"}
    with httpx.stream("POST", slow.url + TEXT, json={**asked, "stream": True}, timeout=60) as got:
        next(got.iter_raw())
        with pytest.raises(httpx.ReadTimeout):  # in the queue
            httpx.post(slow.url + TEXT, json=asked, timeout=0.3)
        assert slow.settles("llmpath_waiting_requests", 0)
    assert slow.settles("llmpath_active_requests", 0)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(slow.url + TEXT, json=asked, timeout=0.3)
    assert slow.settles("llmpath_active_requests", 0)
    assert slow.metric('llmpath_requests_total{endpoint="text",status="gone"}') == 3
    got = httpx.post(slow.url + TEXT, json={**asked, "max_tokens": 3}, timeout=60)
    assert got.json()["choices"][0]["text"] == "aaa"


def test_a_full_queue_says_so(slow: Server) -> None:
    """Who comes when all places and the queue are taken is told to come back."""
    asked = {"model": "tiny", "prompt": "b", "stream": True}

    async def three() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=slow.url, timeout=60) as client:
            posts = [client.post(TEXT, json={**asked, "max_tokens": 20}) for _ in range(3)]
            return await asyncio.gather(*posts)

    got = asyncio.run(three())
    assert sorted(each.status_code for each in got) == [200, 200, 429]
    (full,) = (each for each in got if each.status_code == 429)
    assert full.json()["error"]["code"] == "queue_full"
    assert full.headers["retry-after"]
    assert all(each.text.endswith("data: [DONE]\n\n") for each in got if each is not full)


def test_what_takes_too_long_is_ended(slow: Server) -> None:
    """A request that is not done in time gets an error, in a stream as its last event."""
    asked = {"model": "tiny", "prompt": "bcdefg", "max_tokens": 9}
    got = httpx.post(slow.url + TEXT, json=asked, timeout=60)
    assert (got.status_code, got.json()["error"]["code"]) == (504, "timeout")
    got = httpx.post(slow.url + TEXT, json={**asked, "prompt": "b"}, timeout=60)
    assert got.json()["choices"][0]["text"] == "a" * 9
    got = httpx.post(slow.url + TEXT, json={**asked, "stream": True}, timeout=60)
    *pieces, last, rest = got.text.split("\n\n")
    assert got.status_code == 200
    assert [json.loads(p.removeprefix("data: "))["choices"][0]["text"] for p in pieces] == ["a"] * 2
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "timeout"
    assert rest == ""
    assert slow.settles("llmpath_active_requests", 0)


def test_the_learners_exception_is_an_error_of_the_server(slow: Server) -> None:
    """What the model's code raises stays in the log; the client hears that it failed."""
    got = httpx.post(slow.url + TEXT, json={"model": "tiny", "prompt": "bcd"}, timeout=60)
    assert got.status_code == 500
    assert got.json()["error"]["code"] == "model_error"
    assert "KeyError" not in got.text


def test_the_end_waits_for_what_is_being_answered(tmp_path: Path) -> None:
    """After SIGTERM a stream goes on to its end; then the command ends well."""
    with serving(tmp_path, slow=True) as server:
        asked = {"model": "tiny", "prompt": "b", "max_tokens": 50, "stream": True}
        with httpx.stream("POST", server.url + TEXT, json=asked, timeout=60) as got:
            pieces = got.iter_text()
            next(pieces)
            server.process.send_signal(signal.SIGTERM)
            text = "".join(pieces)
        assert text.endswith("data: [DONE]\n\n")
        assert server.process.wait(timeout=30) == 0


def test_the_end_does_not_wait_for_ever(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is still written when the grace after Ctrl-C is over ends with an error, and quietly."""
    with serving(tmp_path, slow=True) as server:
        asked = {"model": "tiny", "prompt": "bcdefgbcdef", "max_tokens": 9, "stream": True}
        with httpx.stream("POST", server.url + TEXT, json=asked, timeout=60) as got:
            pieces = got.iter_text()
            next(pieces)
            server.process.send_signal(signal.SIGINT)
            text = "".join(pieces)
        last = json.loads(text.strip().rpartition("data: ")[2])
        assert last["error"]["code"] == "server_ended"
        assert server.process.wait(timeout=30) == 0
        assert "Traceback" not in capfd.readouterr().err


def test_a_dead_model_is_told(tmp_path: Path) -> None:
    """When the model's process ends, so do requests and health, with 503; nobody waits for ever."""
    with serving(tmp_path, slow=True) as server:
        for text in ("bcde", "b"):
            got = httpx.post(server.url + TEXT, json={"model": "tiny", "prompt": text}, timeout=60)
            assert got.status_code == 503
            assert got.json()["error"]["code"] == "model_ended"
        assert httpx.get(f"{server.url}/health", timeout=60).status_code == 503


def test_a_taken_port_is_said(tmp_path: Path, server: Server) -> None:
    """Two servers on one port: the second says what to do, before it loads anything."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*LLMPATH, "serve", "--port", port],
            cwd=server.folder.parent,
            env={
                **environment(server.folder.parent / "cache"),
                "LLMPATH_COURSE": str(server.folder.parent / "course"),
            },
            capture_output=True,
            encoding="utf-8",
        )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in done.stderr


def test_it_says_what_has_to_be_installed(learner: Learner, tmp_path: Path) -> None:
    """Without the extra, the command names it."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['uvicorn'] = None\n")
    learner.environment["PYTHONPATH"] = str(hidden)
    done = learner.types("serve")
    assert done.returncode == 2
    assert "needs uvicorn" in done.stderr
    assert "llmpath[serve]" in done.stderr
