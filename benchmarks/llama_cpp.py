"""Let llama.cpp itself run an exported model, and print what it and transformers answer.

llmpath export my-model --gguf
pip install xllamacpp          # llama.cpp with its server, as a library
python benchmarks/llama_cpp.py my-model "Where does Mia live?"
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import xllamacpp
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST = 30  # tokens of an answer


def by_llama_cpp(folder: Path, question: str) -> str:
    """The likeliest answer, through llama.cpp's chat endpoint and the template in the file."""
    asked = xllamacpp.CommonParams()
    asked.model.path = str(folder / "model.gguf")
    asked.n_ctx, asked.n_parallel, asked.warmup = 64, 1, False
    server = xllamacpp.Server(asked)
    messages = [{"role": "user", "content": question}]
    request = {"messages": messages, "max_tokens": MOST, "temperature": 0}
    answer = server.handle_chat_completions(request)
    return str(answer["choices"][0]["message"]["content"]).strip()


def by_transformers(folder: Path, question: str) -> str:
    """The same from the folder's weights."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    messages = [{"role": "user", "content": question}]
    inputs = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    length = inputs["input_ids"].size(1)
    with torch.inference_mode():
        ids = model.generate(inputs["input_ids"], max_new_tokens=MOST, do_sample=False)
    return str(tokenizer.decode(ids[0, length:], skip_special_tokens=True)).strip()


def main() -> None:
    """Ask both each question."""
    folder, questions = Path(sys.argv[1]), sys.argv[2:] or ["Where does Mia live?"]
    for question in questions:
        print(question)
        print("  llama.cpp    ", by_llama_cpp(folder, question))
        print("  transformers ", by_transformers(folder, question))


if __name__ == "__main__":
    main()
