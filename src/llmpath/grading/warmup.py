"""Does once what is slow only the first time, so that no check of a learner's pays for it.

A process that was forked has torch loaded, and yet its first tensor of each kind costs
milliseconds: libraries settle, and pages that were shared are copied.
"""

from __future__ import annotations

import sys

from llmpath.codec import Decoder, Encoder, refuse


def warm_up() -> None:
    """Send some tensors nowhere, multiply and differentiate them; nothing if torch is not in use.

    It leaves the state of all generators as it is.
    """
    if "torch" not in sys.modules:
        return
    import torch

    for dtype in (torch.float64, torch.float32):
        x = torch.ones(2, 3, dtype=dtype, requires_grad=True)
        encoder = Encoder(lambda _: {})
        sent = encoder.encode([x @ x.T, torch.ones(2, dtype=torch.bool), torch.Generator()])
        back = Decoder(encoder.blob(), refuse).decode(sent)
        ((x @ x.T).softmax(-1) - back[0]).square().mean().backward()
