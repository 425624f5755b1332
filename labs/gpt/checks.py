"""What `lab.yaml` grades. The oracle is transformers' LlamaForCausalLM with the same weights."""

from types import SimpleNamespace

import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaConfig, LlamaForCausalLM

from llmpath.labkit.checks import alike, close, describe, has, number, same

LOGITS = "batch, time, vocab_size"
SIZES = {"vocab_size": 23, "hidden_size": 16, "intermediate_size": 20, "layers": 2}
SIZES |= {"heads": 4, "kv_heads": 2, "rope_base": 200.0, "eps": 0.01, "tied": True}


def random(rng, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def words(rng, batch, time):
    return torch.randint(SIZES["vocab_size"], (batch, time), generator=rng)


# transformers' Llama


class Turns(nn.Module):
    """The cosines and sines of rotary positions, as exact as those of the learner's `rope`.

    transformers has them in float32, and so may the learner, but not with the same last digit. A
    vector of ones and zeros, turned by `rope`, shows what it turns by; so both models turn alike,
    and all else can be compared to the last digits of float64.
    """

    def __init__(self, lab, head_size, base):
        super().__init__()
        self.lab, self.half, self.base = lab, head_size // 2, base

    def forward(self, x, position_ids):
        """Cosines and sines, (1, time, head_size)."""
        plain = torch.zeros(position_ids.size(1), 2 * self.half, dtype=torch.float64)
        plain[:, : self.half] = 1.0
        turned = self.lab.rope(plain, position_ids[0], base=self.base)
        has(turned, plain.shape, plain.dtype, "rope, of the lab on positions,")
        return tuple(half.repeat(1, 2)[None] for half in turned.split(self.half, dim=-1))


def llama(lab, rng, dtype=torch.float64, **changes):
    """A Llama of transformers with random weights, and the sizes that make the learner's.

    Its norms and its positions work in float32 even where all else is float64; there they are
    replaced by torch's norms and by `Turns`. In float32 it is just as transformers has it.
    """
    sizes = SIZES | changes
    config = LlamaConfig(
        vocab_size=sizes["vocab_size"],
        hidden_size=sizes["hidden_size"],
        intermediate_size=sizes["intermediate_size"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        num_key_value_heads=sizes["kv_heads"],
        rms_norm_eps=sizes["eps"],
        tie_word_embeddings=sizes["tied"],
        rope_parameters={"rope_type": "default", "rope_theta": sizes["rope_base"]},
        rope_theta=sizes["rope_base"],  # where versions before 5 look for it
        bos_token_id=None,
        eos_token_id=None,
    )
    theirs = LlamaForCausalLM(config).eval()
    if dtype == torch.float64:
        head_size = sizes["hidden_size"] // sizes["heads"]
        theirs.model.rotary_emb = Turns(lab, head_size, sizes["rope_base"])
        theirs.model.norm = nn.RMSNorm(sizes["hidden_size"], sizes["eps"])
        for layer in theirs.model.layers:
            layer.input_layernorm = nn.RMSNorm(sizes["hidden_size"], sizes["eps"])
            layer.post_attention_layernorm = nn.RMSNorm(sizes["hidden_size"], sizes["eps"])
    theirs.to(dtype)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            spread = sizes["hidden_size"] ** -0.5 if "proj" in name or "head" in name else 1.0
            weight.copy_(spread * random(rng, *weight.shape))
    return theirs, sizes


def by_parts(theirs, ids, *, scale=1.0, mask=None, order=1, first=0, turns=True, norm=True):
    """What transformers' Llama answers, or would, with something changed.

    Args:
        theirs: the model.
        ids: token ids, (batch, time).
        scale: multiplies the embeddings.
        mask: True where a token may look, (time, time); None is the causal mask.
        order: 1 to go through the layers from first to last, -1 for the other way.
        first: the position of the first token.
        turns: whether queries and keys are turned by their positions.
        norm: whether the last norm is used.
    """
    time = ids.size(1)
    mask = torch.ones(time, time, dtype=torch.bool).tril() if mask is None else mask
    x = theirs.model.embed_tokens(ids) * scale
    positions = torch.arange(first, first + time)[None] if turns else torch.zeros(1, time).long()
    angles = theirs.model.rotary_emb(x, position_ids=positions)
    for layer in list(theirs.model.layers)[::order]:
        answer = layer(x, attention_mask=mask[None, None], position_embeddings=angles)
        x = answer[0] if isinstance(answer, tuple) else answer  # a tuple in older versions
    return theirs.lm_head(theirs.model.norm(x) if norm else x)


def mistakes(theirs, ids):
    """Wrong models that people know, by what to tell whoever wrote one."""
    time, hidden_size = ids.size(1), theirs.config.hidden_size
    every = torch.ones(time, time, dtype=torch.bool)
    return {
        "the last norm is missing: it stands between the last block and the head": (
            lambda: by_parts(theirs, ids, norm=False)
        ),
        "the embeddings are multiplied by √hidden_size; a Llama takes them as they are": (
            lambda: by_parts(theirs, ids, scale=hidden_size**0.5)
        ),
        "the mask does not reach the blocks: every token sees every other": (
            lambda: by_parts(theirs, ids, mask=every)
        ),
        "the mask is shifted: a token does not see itself": (
            lambda: by_parts(theirs, ids, mask=every.tril(-1))
        ),
        "the mask is shifted: a token sees the one after it": (
            lambda: by_parts(theirs, ids, mask=every.tril(1))
        ),
        "the mask is turned round: a token sees itself and what comes after it": (
            lambda: by_parts(theirs, ids, mask=every.triu())
        ),
        "queries and keys are not turned by their positions: rotate is missing": (
            lambda: by_parts(theirs, ids, turns=False)
        ),
        "the blocks are passed in the wrong order": lambda: by_parts(theirs, ids, order=-1),
        "these are probabilities; the model should return logits": (
            lambda: by_parts(theirs, ids).softmax(-1)
        ),
    }


def same_logits(got, theirs, ids, atol):
    """Check logits against those of transformers' model, and tell the mistakes that people know."""
    because = "embed, pass every block with mask and rotate, normalise, multiply by the head"
    with torch.no_grad():
        want = theirs(ids, use_cache=False).logits
        if not alike(got, want, atol=atol, rtol=0):
            for sentence, answer in mistakes(theirs, ids).items():
                because = sentence if alike(got, answer(), atol=1e-4, rtol=0) else because
    close(got, want, atol=atol, because=because, axes=LOGITS)


# The learner's model


def build(lab, sizes):
    """The learner's model of these sizes."""
    model = lab.GPT(lab.Config(**sizes))
    assert hasattr(model, "type_name"), (
        f"GPT should be a class of modules, and calling it gave {describe(model)}"
    )
    return model


def mine_like(lab, theirs, sizes):
    """The learner's model with the weights of transformers' model."""
    weights = theirs.state_dict()
    model = build(lab, sizes)
    model.to(weights["model.norm.weight"].dtype)
    model.load_state_dict(weights)
    return model


def one_name(parameters):
    """Parameters by their names; that of a tied weight, which has two, is the embedding's."""
    head, embedding = "lm_head.weight", "model.embed_tokens.weight"
    if embedding in parameters or head not in parameters:
        return parameters
    return {embedding if name == head else name: value for name, value in parameters.items()}


def test_names(lab, rng):
    for changes in ({}, {"tied": False, "layers": 3, "kv_heads": 4}):
        theirs, sizes = llama(lab, rng, **changes)
        mine, want = build(lab, sizes).state_dict(), theirs.state_dict()
        assert isinstance(mine, dict), "GPT.state_dict() should be the weights by their names"
        missing = [name for name in want if name not in mine]
        extra = [name for name in mine if name not in want]
        because = f"a model of {sizes['layers']} blocks"
        assert not missing, f"{because} has no weight called {missing[0]}"
        assert not extra, f"{because} has a weight that no Llama has: {extra[0]}"
        for name, weight in want.items():
            has(mine[name], weight.shape, torch.float32, f"the weight {name}")


def test_parameters(lab, rng):
    for tied in (True, False):
        theirs, sizes = llama(lab, rng, tied=tied)
        want = [name for name, _ in theirs.named_parameters()]
        mine = one_name(dict(build(lab, sizes).named_parameters()))
        missing = [name for name in want if name not in mine]
        extra = [name for name in mine if name not in want]
        assert not missing, (
            f"with tied={tied}, {missing[0]} should be a parameter of its own. It is missing, or "
            "one and the same with another: does each block have its own?"
        )
        assert not extra, (
            f"with tied={tied}, {extra[0]} should not be a parameter of its own. A tied head has "
            "no weight but the embedding's: the very same nn.Parameter, not a copy of it"
        )


def test_by_hand(lab):
    sizes = {"vocab_size": 3, "hidden_size": 2, "intermediate_size": 4, "layers": 0}
    model = build(lab, sizes | {"heads": 1, "kv_heads": 1, "eps": 0.0, "tied": True})
    table = torch.tensor([[1.0, 1.0], [7.0, -1.0], [0.0, 2.0]])
    weights = {"model.embed_tokens.weight": table, "lm_head.weight": table}
    model.load_state_dict(weights | {"model.norm.weight": torch.tensor([1.0, 2.0])})
    # Token 1: the mean square is 25; (7, -1) / 5 is (1.4, -0.2), weighted (1.4, -0.4).
    want = torch.tensor([[[1.0, 10.2, -0.8], [2.8284, -2.8284, 5.6569]]])
    close(
        model(torch.tensor([[1, 2]])),
        want,
        atol=1e-3,
        because="with no block at all, token 1 is (7, -1), normalised (1.4, -0.2), weighted "
        "(1.4, -0.4); its logits are the dot products with all three embeddings",
        axes=LOGITS,
    )


def test_decoder(lab, rng):
    theirs, sizes = llama(lab, rng)
    ids = words(rng, 2, 5)
    with torch.no_grad():
        want = theirs.model(ids, use_cache=False).last_hidden_state
    close(
        mine_like(lab, theirs, sizes).model(ids.clone()),
        want,
        atol=1e-9,
        because="`model` alone, the Decoder, gives the vectors after the last norm",
        axes="batch, time, hidden_size",
    )


def test_matches_llama(lab, rng):
    for changes in ({}, {"tied": False, "layers": 3, "kv_heads": 1}, {"layers": 1, "kv_heads": 4}):
        theirs, sizes = llama(lab, rng, **changes)
        ids = words(rng, 3, number(rng, 4, 8))
        same_logits(mine_like(lab, theirs, sizes)(ids.clone()), theirs, ids, atol=1e-9)


def test_matches_llama_float32(lab, rng):
    theirs, sizes = llama(lab, rng, dtype=torch.float32, tied=False, eps=1e-5)
    ids = words(rng, 2, 24)
    same_logits(mine_like(lab, theirs, sizes)(ids.clone()), theirs, ids, atol=1e-4)


def test_order_matters(lab, rng):
    theirs, sizes = llama(lab, rng, layers=1)
    model, ids = mine_like(lab, theirs, sizes), torch.tensor([[3, 9, 4, 4, 17]])
    swapped = ids[:, [1, 0, 2, 3, 4]]
    before, after = (model(given.clone()) for given in (ids, swapped))
    for got in (before, after):
        has(got, (1, 5, SIZES["vocab_size"]), torch.float64, "GPT")
    with torch.no_grad():
        effect = by_parts(theirs, swapped) - by_parts(theirs, ids)
    close(
        (after - before)[:, -1],
        effect[:, -1],
        atol=1e-4,
        because="the first two tokens changed places. In a model with positions the logits of the "
        "last one tell; without, attention sees a bag of words",
    )


def test_hides_the_future(lab, rng):
    theirs, sizes = llama(lab, rng, layers=3)
    time = number(rng, 5, 8)
    now = number(rng, 1, time - 1)
    ids = words(rng, 2, time)
    model = mine_like(lab, theirs, sizes)
    before = model(ids.clone())
    changed = ids.clone()
    changed[:, now:] = (changed[:, now:] + 1) % SIZES["vocab_size"]
    after = model(changed)
    for got in (before, after):
        has(got, (2, time, SIZES["vocab_size"]), torch.float64, "GPT")
    assert not torch.equal(after[:, now:], before[:, now:]), (
        "new tokens came in, and the logits at their own positions did not change"
    )
    close(
        after[:, :now],
        before[:, :now],
        atol=1e-9,
        because=f"the tokens from position {now} on were changed, and logits before {now} changed "
        "with them: the model has read the answer",
        axes=LOGITS,
    )


def test_token_by_token(lab, rng):
    for layers, parts in ((2, [1] * 5), (2, [3, 2]), (1, [1, 4])):
        theirs, sizes = llama(lab, rng, layers=layers)
        ids = words(rng, 2, 5)
        model = mine_like(lab, theirs, sizes)
        with torch.no_grad():
            want = theirs(ids, use_cache=False).logits
        cache, first = [lab.Memory() for _ in range(layers)], 0
        for length in parts:
            last = first + length
            close(
                model(ids[:, first:last].clone(), cache),
                want[:, first:last],
                atol=1e-9,
                because=f"tokens {first} to {last - 1} with {first} before them in the cache: "
                "logits should be those of the whole text. Positions and mask go on where the "
                "cache ends",
                axes=LOGITS,
            )
            first = last
        assert cache[0].length == 5, "after five tokens, cache[0].length should be 5"


def test_a_cache_for_each_block(lab, rng):
    theirs, sizes = llama(lab, rng, layers=3)
    model, calls = mine_like(lab, theirs, sizes), []

    def memory(block):
        def extend(k, v):
            calls.append((block, tuple(k.shape), tuple(v.shape)))
            return k, v

        return SimpleNamespace(extend=extend, length=0)

    ids = words(rng, 2, 5)
    got = model(ids.clone(), [memory(block) for block in range(3)])
    has(got, (2, 5, SIZES["vocab_size"]), torch.float64, "GPT")
    shape = (2, sizes["kv_heads"], 5, sizes["hidden_size"] // sizes["heads"])
    same(
        calls,
        [(block, shape, shape) for block in range(3)],
        because="block n extends cache[n], once, from the first block to the last, with keys and "
        "values of (batch, kv_heads, time, head_size)",
    )


def test_gradients(lab, rng):
    theirs, sizes = llama(lab, rng)
    ids = words(rng, 2, 5)
    ids[0, 1] = 0  # a token like any other, and not a filling that learns nothing
    model = mine_like(lab, theirs, sizes)
    has(model(ids.clone()), (2, 5, SIZES["vocab_size"]), torch.float64, "GPT")
    cotangent = random(rng, 2, 5, SIZES["vocab_size"])
    leaves = dict(theirs.named_parameters())
    output = theirs(ids, use_cache=False).logits
    want = torch.autograd.grad((output * cotangent).sum(), list(leaves.values()))
    found = lab.vjp(model, ids, cotangent=cotangent)
    close(
        one_name(found.params),
        dict(zip(leaves, want, strict=True)),
        atol=1e-9,
        because="the gradients of all weights. The tied embedding gets two of them, as the "
        "embedding and as the head; a None means that something cut the graph",
    )
