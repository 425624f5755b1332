"""The licences that the Hugging Face hub knows by an identifier (its documentation, `Licenses`)."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from llmpath.errors import LlmpathError
from llmpath.workspace import files

KNOWN = frozenset(
    {
        "apache-2.0",
        "mit",
        "openrail",
        "bigscience-openrail-m",
        "creativeml-openrail-m",
        "bigscience-bloom-rail-1.0",
        "bigcode-openrail-m",
        "afl-3.0",
        "artistic-2.0",
        "bsl-1.0",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "bsd-3-clause-clear",
        "c-uda",
        "cc",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-2.5",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-2.0",
        "cc-by-nc-3.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-3.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0",
        "cdla-sharing-1.0",
        "cdla-permissive-1.0",
        "cdla-permissive-2.0",
        "wtfpl",
        "ecl-2.0",
        "epl-1.0",
        "epl-2.0",
        "etalab-2.0",
        "eupl-1.1",
        "agpl-3.0",
        "gfdl",
        "gpl",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl",
        "lgpl-2.1",
        "lgpl-3.0",
        "isc",
        "lppl-1.3c",
        "ms-pl",
        "mpl-2.0",
        "odc-by",
        "odbl",
        "openrail++",
        "osl-3.0",
        "postgresql",
        "ofl-1.1",
        "ncsa",
        "unlicense",
        "zlib",
        "pddl",
    }
)
FILE = "LICENSE"  # the name under which the hub looks for the text of any other licence


@dataclass(frozen=True)
class Licence:
    """Under which terms a model is shared.

    Attributes:
        id: one that the hub knows, or `other`.
        name: what another is called.
        text: what another says.
    """

    id: str
    name: str = ""
    text: bytes = b""


def licence(named: str) -> Licence:
    """The licence that was named: by the hub's identifier, or by a file with its text.

    Raises:
        LlmpathError: if it is neither.
    """
    if named.lower() in KNOWN:
        return Licence(named.lower())
    path = Path(named).expanduser()
    text = files.read(path) if path.is_file() else None
    if text is not None:
        return Licence("other", "-".join(path.stem.lower().split()), text)
    near = difflib.get_close_matches(named.lower(), sorted(KNOWN), n=1)
    raise LlmpathError(
        f"The hub knows no licence called {named}, and there is no such file.",
        f"Did you mean {near[0]}?"
        if near
        else "Say for instance mit, apache-2.0 or cc-by-4.0, or name a file with its text.",
    )
