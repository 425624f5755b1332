"""What `lab.yaml` grades. The oracles are torch's norms and the layers of transformers' Llama."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from transformers.models.llama.modeling_llama import (
    LlamaConfig,
    LlamaDecoderLayer,
    LlamaMLP,
    LlamaRMSNorm,
    apply_rotary_pos_emb,
)

from llmpath.labkit.checks import alike, close, describe, has, number, same

# float64 shows a wrong formula; float32 is what models use.
PRECISIONS = [(torch.float64, 1e-9), (torch.float32, 2e-5)]
WORDS = "batch, time, hidden_size"


def random(rng, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def causal(time, past=0):
    return torch.ones(time, past + time, dtype=torch.bool).tril(diagonal=past)


def right(got, want, *, atol, wrong, otherwise, axes=None):
    """Check that a result is close to what is right, or tell which known mistake made it.

    Args:
        got: what the learner's code returned.
        want: what is right.
        atol: the absolute tolerance.
        wrong: functions that make known wrong answers, by what to tell whoever gave one.
        otherwise: what to tell everybody else.
        axes: what the axes of `want` are.
    """
    because = otherwise
    if not alike(got, want, atol=atol, rtol=0):
        because = next(
            (say for say, answer in wrong.items() if alike(got, answer(), atol=1e-6, rtol=0)),
            because,
        )
    close(got, want, atol=atol, because=because, axes=axes)


NARROWED = "this is right to about seven digits only: is float64 narrowed to float32 on the way?"


# The learner's modules


def build(lab, name, *sizes, weights=None, dtype=torch.float32, **options):
    """One of the learner's modules, with these weights."""
    module = getattr(lab, name)(*sizes, **options)
    assert hasattr(module, "type_name"), (
        f"{name} should be a class of modules, and calling it gave {describe(module)}"
    )
    module.to(dtype)
    if weights is not None:
        module.load_state_dict({key: weight.to(dtype) for key, weight in weights.items()})
    return module


def same_parameters(module, want, name):
    """Check the names and shapes of a module's weights."""
    mine = module.state_dict()
    assert isinstance(mine, dict), f"{name}.state_dict() should be the weights by their names"
    missing = [key for key in want if key not in mine]
    extra = [key for key in mine if key not in want]
    assert not missing, f"{name} has no weight called {missing[0]}; it has {', '.join(mine)}"
    assert not extra, f"{name} has a weight too many, {extra[0]}: the layers have no biases"
    for key, shape in want.items():
        assert tuple(mine[key].shape) == tuple(shape), (
            f"{name}: {key} should have the shape {tuple(shape)} (numbers out, numbers in), "
            f"and has {tuple(mine[key].shape)}"
        )


# The norms


def rms_mistakes(x, weight, eps):
    """Wrong root mean square norms that people know, by what to tell whoever wrote one."""
    mean = x.square().mean(-1, keepdim=True)
    centred = x - x.mean(-1, keepdim=True)
    return {
        NARROWED: lambda: F.rms_norm(x, weight.shape, weight, eps),
        "eps stands outside the root; it belongs to the mean square, inside": (
            lambda: weight * x / (mean.sqrt() + eps)
        ),
        "eps is not used": lambda: weight * x / mean.sqrt(),
        "this takes off the mean first; RMSNorm does not": (
            lambda: weight * centred * (centred.square().mean(-1, keepdim=True) + eps).rsqrt()
        ),
        "this divides by the length of the vector: a sum of squares, where the mean belongs": (
            lambda: weight * x / (x.square().sum(-1, keepdim=True) + eps).sqrt()
        ),
        "this divides by the mean square itself: its root is missing": (
            lambda: weight * x / (mean + eps)
        ),
        "the weight is not used": lambda: F.rms_norm(x, weight.shape, None, eps),
        "the mean runs over the whole tensor; each vector has its own": (
            lambda: weight * x / (x.square().mean() + eps).sqrt()
        ),
    }


def layer_mistakes(x, weight, bias, eps):
    """Wrong layer norms that people know, by what to tell whoever wrote one."""
    mean = x.mean(-1, keepdim=True)
    variance = x.var(-1, correction=0, keepdim=True)
    return {
        NARROWED: lambda: F.layer_norm(x, weight.shape, weight, bias, eps),
        "the variance is divided by n - 1 (torch.var does that unless told otherwise); "
        "LayerNorm divides by n": (
            lambda: weight * (x - mean) / (x.var(-1, keepdim=True) + eps).sqrt() + bias
        ),
        "eps stands outside the root; it belongs to the variance, inside": (
            lambda: weight * (x - mean) / (variance.sqrt() + eps) + bias
        ),
        "the mean is taken off nowhere: this is an RMSNorm": (
            lambda: F.rms_norm(x, weight.shape, weight, eps) + bias
        ),
        "the mean counts for the variance, but is not taken off x itself": (
            lambda: weight * x / (variance + eps).sqrt() + bias
        ),
        "the bias is not used": lambda: F.layer_norm(x, weight.shape, weight, None, eps),
        "the weight is not used": lambda: F.layer_norm(x, weight.shape, None, bias, eps),
        "the bias is added before the weight multiplies": (
            lambda: weight * (F.layer_norm(x, weight.shape, None, None, eps) + bias)
        ),
    }


def test_rms_by_hand(lab):
    x, weight = torch.tensor([1.0, -7.0, 5.0, 5.0]), torch.tensor([1.0, 2.0, -1.0, 0.5])
    got = build(lab, "RMSNorm", 4, eps=0.0, weights={"weight": weight})(x)
    # The squares are 1, 49, 25 and 25; their mean is 25, and its root 5.
    otherwise = "the squares are 1, 49, 25, 25, their mean is 25, and so x is divided by 5"
    wrong, want = rms_mistakes(x, weight, 0.0), torch.tensor([0.2, -2.8, -1.0, 0.5])
    right(got, want, atol=1e-6, wrong=wrong, otherwise=otherwise)


def test_rms_matches_torch(lab, rng):
    for dtype, atol in PRECISIONS:
        for shape in [(5,), (3, 6), (2, 3, 7), (2, 3, 4, 6)]:
            x, weight = random(rng, *shape, dtype=dtype), random(rng, shape[-1], dtype=dtype)
            eps = 10.0 ** -number(rng, 2, 4)
            module = build(
                lab, "RMSNorm", shape[-1], eps=eps, weights={"weight": weight}, dtype=dtype
            )
            want = F.rms_norm(x, weight.shape, weight, eps)
            got = module(x.clone())
            otherwise = f"x has the shape {shape}; y = weight · x / √(mean(x²) + eps)"
            wrong = rms_mistakes(x, weight, eps)
            right(got, want, atol=atol, wrong=wrong, otherwise=otherwise)


def test_rms_keeps_the_mean(lab, rng):
    module = build(lab, "RMSNorm", 5, dtype=torch.float64, eps=0.0)
    level = random(rng, 1).abs() + 1.0
    close(
        module(level.expand(2, 5).clone()),
        torch.ones(2, 5, dtype=torch.float64),
        atol=1e-9,
        because="five equal numbers: their root mean square is that number, so each becomes 1. "
        "RMSNorm takes off no mean",
    )


def test_rms_any_length(lab, rng):
    weight, x = random(rng, 6), random(rng, 2, 3, 6)
    module = build(lab, "RMSNorm", 6, eps=0.0, weights={"weight": weight}, dtype=torch.float64)
    want = F.rms_norm(x, (6,), weight, 0.0)
    for factor in (1e-3, 7.0, 1e4):
        close(
            module(x * factor),
            want,
            atol=1e-9,
            because=f"vectors {factor:g} times as long (eps is 0) should give the same: "
            "only their direction counts",
        )


def test_small_vectors(lab):
    weight = torch.tensor([1.0, 2.0], dtype=torch.float64)
    rms = build(lab, "RMSNorm", 2, eps=0.16, weights={"weight": weight}, dtype=torch.float64)
    bias = torch.tensor([0.0, 1.0], dtype=torch.float64)
    weights = {"weight": weight, "bias": bias}
    layer = build(lab, "LayerNorm", 2, eps=0.16, weights=weights, dtype=torch.float64)
    for name, module, numbers, answer in [
        ("RMSNorm", rms, [0.3, 0.3], [0.6, 1.2]),
        ("RMSNorm", rms, [0.0, 0.0], [0.0, 0.0]),
        ("LayerNorm", layer, [0.3, -0.3], [0.6, -0.2]),
        ("LayerNorm", layer, [0.7, 0.7], [0.0, 1.0]),
    ]:
        x = torch.tensor(numbers, dtype=torch.float64)
        want = torch.tensor(answer, dtype=torch.float64)
        if name == "RMSNorm":
            learned, wrong = "weight (1, 2)", rms_mistakes(x, weight, 0.16)
        else:
            learned = "weight (1, 2) and bias (0, 1)"
            wrong = layer_mistakes(x, weight, bias, 0.16)
        otherwise = (
            f"{name} of {numbers} with eps 0.16, {learned}. Both (0.3, 0.3) and (0.3, -0.3) have "
            "0.09 under the root; with eps that is 0.25, and its root is 0.5"
        )
        right(module(x.clone()), want, atol=1e-9, wrong=wrong, otherwise=otherwise)
    x = torch.tensor([0.001, 0.004], dtype=torch.float64)
    for name, want in [
        ("RMSNorm", F.rms_norm(x, (2,), None, 1e-5)),
        ("LayerNorm", F.layer_norm(x, (2,), None, None, 1e-5)),
    ]:
        got = build(lab, name, 2, dtype=torch.float64)(x.clone())
        close(got, want, atol=1e-9, because=f"{name} of (0.001, 0.004): eps is 1e-5 if not given")


def test_half_precision(lab, rng):
    for dtype, rtol in [(torch.float16, 4e-3), (torch.bfloat16, 3e-2)]:
        x = (600 * random(rng, 2, 3, 8)).to(dtype)
        weight, bias = 1 + random(rng, 8, dtype=dtype).abs(), random(rng, 8, dtype=dtype)
        llama = LlamaRMSNorm(8, eps=1e-5).to(dtype).requires_grad_(False)
        llama.weight.copy_(weight)
        rms = build(lab, "RMSNorm", 8, weights={"weight": weight}, dtype=dtype)
        weights = {"weight": weight, "bias": bias}
        layer = build(lab, "LayerNorm", 8, weights=weights, dtype=dtype)
        for name, module, want in [
            ("RMSNorm", rms, llama(x)),
            ("LayerNorm", layer, F.layer_norm(x, (8,), weight, bias)),
        ]:
            close(
                module(x.clone()),
                want,
                atol=rtol,
                rtol=rtol,
                because=f"{name} of numbers up to {float(x.abs().max()):.0f} in {dtype}, whose "
                "squares float16 cannot hold: widen x first, and come back to its dtype at the end",
            )


def test_layer_by_hand(lab):
    x = torch.tensor([5.0, 1.0, 1.0, 5.0])
    weight, bias = torch.tensor([1.0, 3.0, 0.5, -2.0]), torch.tensor([0.0, 1.0, 0.0, 10.0])
    got = build(lab, "LayerNorm", 4, eps=0.0, weights={"weight": weight, "bias": bias})(x)
    # The mean is 3, the differences are 2, -2, -2 and 2, and the variance is 4.
    otherwise = "the mean is 3, the differences are 2, -2, -2, 2, the mean of their squares is 4"
    wrong, want = layer_mistakes(x, weight, bias, 0.0), torch.tensor([1.0, -2.0, -0.5, 8.0])
    right(got, want, atol=1e-6, wrong=wrong, otherwise=otherwise)


def test_layer_matches_torch(lab, rng):
    for dtype, atol in PRECISIONS:
        for shape in [(5,), (3, 6), (2, 3, 7), (2, 3, 4, 6)]:
            x = random(rng, *shape, dtype=dtype)
            weight, bias = (random(rng, shape[-1], dtype=dtype) for _ in range(2))
            eps, weights = 10.0 ** -number(rng, 2, 4), {"weight": weight, "bias": bias}
            module = build(lab, "LayerNorm", shape[-1], eps=eps, weights=weights, dtype=dtype)
            want = F.layer_norm(x, weight.shape, weight, bias, eps)
            got = module(x.clone())
            otherwise = f"x has the shape {shape}; y = weight · (x - mean) / √(var + eps) + bias"
            wrong = layer_mistakes(x, weight, bias, eps)
            right(got, want, atol=atol, wrong=wrong, otherwise=otherwise)


def test_layer_ignores_a_shift(lab, rng):
    x, weights = random(rng, 2, 3, 6), {"weight": random(rng, 6), "bias": random(rng, 6)}
    module = build(lab, "LayerNorm", 6, eps=0.0, weights=weights, dtype=torch.float64)
    want = F.layer_norm(x, (6,), *weights.values(), 0.0)
    for shift in (-4.0, 100.0):
        close(
            module(x + shift),
            want,
            atol=1e-9,
            because=f"adding {shift:g} to every number of x moves the mean with it, and should "
            "change nothing",
        )


def test_each_vector_alone(lab, rng):
    x = random(rng, 3, 4, 6)
    batch, time = number(rng, 0, 2), number(rng, 0, 3)
    changed = x.clone()
    changed[batch, time] = 3 * random(rng, 6) + 1.0
    elsewhere = torch.ones(3, 4, dtype=torch.bool)
    elsewhere[batch, time] = False
    for name, sizes in [("RMSNorm", (6,)), ("LayerNorm", (6,)), ("SwiGLU", (6, 10))]:
        module = build(lab, name, *sizes, dtype=torch.float64)
        before, after = module(x.clone()), module(changed.clone())
        for got in (before, after):
            has(got, (3, 4, 6), torch.float64, name)
        assert not torch.equal(before, x), f"{name} gave x back as it was"
        assert not torch.equal(before[batch, time], after[batch, time]), (
            f"{name}: a vector was changed, and what came out for it did not change"
        )
        close(
            after[elsewhere],
            before[elsewhere],
            atol=1e-9,
            because=f"{name}: one vector was changed, and what came out for another changed with "
            "it. Over which dimension do mean and variance run?",
        )


# The feed-forward network


def mlp_weights(rng, hidden_size, intermediate_size, dtype=torch.float64):
    up, down = (intermediate_size, hidden_size), (hidden_size, intermediate_size)
    sizes = {"gate_proj": up, "up_proj": up, "down_proj": down}
    return {f"{name}.weight": random(rng, *size, dtype=dtype) for name, size in sizes.items()}


def mlp_mistakes(x, weights):
    """Wrong gated networks that people know, by what to tell whoever wrote one."""
    gate, up, down = (
        lambda t, w=weights[f"{n}_proj.weight"]: F.linear(t, w) for n in ("gate", "up", "down")
    )
    return {
        "silu stands on up_proj; it belongs on gate_proj": lambda: down(gate(x) * F.silu(up(x))),
        "silu stands on the product; it belongs on gate_proj alone": (
            lambda: down(F.silu(gate(x) * up(x)))
        ),
        "silu stands on both sides; up_proj goes without": (
            lambda: down(F.silu(gate(x)) * F.silu(up(x)))
        ),
        "the two sides are added; they should be multiplied": (
            lambda: down(F.silu(gate(x)) + up(x))
        ),
        "the gate is a plain sigmoid; silu(z) is z · sigmoid(z)": (
            lambda: down(torch.sigmoid(gate(x)) * up(x))
        ),
        "the gate goes through gelu; Llama's goes through silu": (
            lambda: down(F.gelu(gate(x)) * up(x))
        ),
        "the gate goes through relu; Llama's goes through silu": (
            lambda: down(F.relu(gate(x)) * up(x))
        ),
        "nothing bends: without silu on the gate": lambda: down(gate(x) * up(x)),
        "up_proj is not used": lambda: down(F.silu(gate(x))),
    }


def llama_mlp(weights, x):
    """What transformers' LlamaMLP answers with these weights."""
    intermediate_size, hidden_size = weights["up_proj.weight"].shape
    config = LlamaConfig(
        hidden_size=hidden_size, intermediate_size=intermediate_size, num_attention_heads=1
    )
    theirs = LlamaMLP(config).to(x.dtype).requires_grad_(False)
    theirs.load_state_dict(weights)
    return theirs(x)


def test_swiglu_layers(lab):
    want = {"gate_proj.weight": (7, 3), "up_proj.weight": (7, 3), "down_proj.weight": (3, 7)}
    same_parameters(build(lab, "SwiGLU", 3, 7), want, "SwiGLU")


def test_swiglu_by_hand(lab):
    weights = {
        "gate_proj.weight": torch.tensor([[2.0, 0.0], [0.0, 1.0]]),
        "up_proj.weight": torch.tensor([[3.0, 0.0], [1.0, -1.0]]),
        "down_proj.weight": torch.tensor([[1.0, 0.0], [2.0, 10.0]]),
    }
    x = torch.tensor([1.0, -1.0])
    # Gate (2, -1), silu of it (1.7616, -0.2689); up (3, 2); product (5.2848, -0.5379).
    got = build(lab, "SwiGLU", 2, 2, weights=weights)(x)
    otherwise = "the gate is (2, -1), silu of it (1.7616, -0.2689), up is (3, 2)"
    want, wrong = torch.tensor([5.28478, 5.19073]), mlp_mistakes(x, weights)
    right(got, want, atol=1e-4, wrong=wrong, otherwise=otherwise)


def test_swiglu_matches_llama(lab, rng):
    for dtype, atol in PRECISIONS:
        for leading in [(), (4,), (2, 3)]:
            weights = mlp_weights(rng, 6, 8, dtype)
            weights = {name: weight / weight.size(-1) ** 0.5 for name, weight in weights.items()}
            x = random(rng, *leading, 6, dtype=dtype)
            got = build(lab, "SwiGLU", 6, 8, weights=weights, dtype=dtype)(x.clone())
            otherwise = "y = down_proj(silu(gate_proj(x)) · up_proj(x))"
            wrong, want = mlp_mistakes(x, weights), llama_mlp(weights, x)
            right(got, want, atol=atol, wrong=wrong, otherwise=otherwise)


# The block


def llama_block(rng, heads=4, kv_heads=2, head_size=4, intermediate_size=12, **options):
    """A layer of transformers' Llama with random weights, and the sizes that make the learner's.

    Its norms work in float32 even where all else is float64; there they are replaced by torch's.
    """
    dtype, eps = options.get("dtype", torch.float64), options.get("eps", 0.01)
    hidden_size = heads * head_size
    config = LlamaConfig(
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        rms_norm_eps=eps,
    )
    config._attn_implementation = "sdpa"
    layer = LlamaDecoderLayer(config, 0).eval()
    if dtype == torch.float64:
        layer.input_layernorm = nn.RMSNorm(hidden_size, eps)
        layer.post_attention_layernorm = nn.RMSNorm(hidden_size, eps)
    layer.to(dtype)
    with torch.no_grad():
        for weight in layer.parameters():
            spread = hidden_size**-0.5 if weight.dim() == 2 else 1.0
            weight.copy_(spread * random(rng, *weight.shape))
    return layer, (hidden_size, intermediate_size, heads, kv_heads)


def mine_like(lab, theirs, sizes, eps=0.01):
    """The learner's block with the weights of transformers' layer."""
    weights = {name: weight.detach() for name, weight in theirs.state_dict().items()}
    dtype = next(iter(weights.values())).dtype
    return build(lab, "Block", *sizes, eps=eps, weights=weights, dtype=dtype)


def angles(rng, theirs, time):
    """Random turns for each position, as cosines and sines, (1, time, head_size)."""
    turns = random(rng, 1, time, theirs.self_attn.head_dim // 2).repeat(1, 1, 2)
    return turns.cos(), turns.sin()


def run_llama(theirs, x, mask, turns=None):
    """What transformers' layer answers, without positions unless `turns` are given."""
    if turns is None:
        still = torch.ones(1, x.size(1), theirs.self_attn.head_dim, dtype=x.dtype)
        turns = (still, torch.zeros_like(still))
    answer = theirs(x, attention_mask=mask[None, None], position_embeddings=turns)
    return answer[0] if isinstance(answer, tuple) else answer  # a tuple in older versions


def block_mistakes(theirs, x, mask):
    """Wrong blocks that people know, by what to tell whoever wrote one."""
    still = torch.ones(1, x.size(1), theirs.self_attn.head_dim, dtype=x.dtype)

    def attend(t, seen=mask):
        turns = (still, torch.zeros_like(still))
        found = theirs.self_attn(t, attention_mask=seen[None, None], position_embeddings=turns)
        return found[0]

    first, second, mlp = theirs.input_layernorm, theirs.post_attention_layernorm, theirs.mlp

    def post_norm():
        h = first(x + attend(x))
        return second(h + mlp(h))

    def outside():
        h = x + first(attend(x))
        return h + second(mlp(h))

    def from_the_norm():
        h = first(x) + attend(first(x))
        return second(h) + mlp(second(h))

    def after_attention(h):
        return h + mlp(second(h))

    return {
        "the norms come after each sum (post-norm); they should stand in front of attention and "
        "mlp, and the sum goes on as it is": post_norm,
        "the norms stand behind attention and mlp; they should stand in front": outside,
        "the sums start from the normalised vectors; they should start from x itself": (
            from_the_norm
        ),
        "attention and mlp both start from x, side by side; the mlp should start from the sum that "
        "attention has made": lambda: x + attend(first(x)) + mlp(second(x)),
        "x is not added to what attention found": lambda: after_attention(attend(first(x))),
        "what attention found is not added to what the mlp makes of it": (
            lambda: mlp(second(x + attend(first(x))))
        ),
        "nothing is added anywhere: the residual connections are missing": (
            lambda: mlp(second(attend(first(x))))
        ),
        "input_layernorm is used in both places": lambda: (lambda h: h + mlp(first(h)))(
            x + attend(first(x))
        ),
        "the two norms have changed places": lambda: (lambda h: h + mlp(first(h)))(
            x + attend(second(x))
        ),
        "the mlp comes before attention": lambda: (lambda h: h + attend(first(h)))(
            x + mlp(second(x))
        ),
        "post_attention_layernorm is not used": lambda: (lambda h: h + mlp(h))(
            x + attend(first(x))
        ),
        "input_layernorm is not used": lambda: after_attention(x + attend(x)),
        "the mask is not handed on to self_attn": lambda: after_attention(
            x + attend(first(x), torch.ones_like(mask))
        ),
    }


def test_block_parts(lab, rng):
    theirs, sizes = llama_block(rng)
    want = {name: weight.shape for name, weight in theirs.state_dict().items()}
    same_parameters(build(lab, "Block", *sizes), want, "Block")
    theirs, sizes = llama_block(rng, heads=3, kv_heads=3, head_size=2)
    want = {name: weight.shape for name, weight in theirs.state_dict().items()}
    same_parameters(build(lab, "Block", *sizes[:3]), want, "Block without kv_heads")


def test_silent_block(lab, rng):
    theirs, sizes = llama_block(rng)
    x, mask = 3 * random(rng, 2, 5, sizes[0]), causal(5)
    module = mine_like(lab, theirs, sizes)
    has(module(x.clone(), mask), x.shape, x.dtype, "Block")
    assert not torch.equal(module(x.clone(), mask), x), "the block gave x back as it was"
    with torch.no_grad():
        theirs.self_attn.o_proj.weight.zero_()
        theirs.mlp.down_proj.weight.zero_()
    close(
        mine_like(lab, theirs, sizes)(x.clone(), mask),
        x,
        atol=1e-9,
        because="with o_proj and down_proj at zero, attention and mlp have nothing to say, and x "
        "should come through as it was: what a block does is added to x, and nothing is done to "
        "the sum",
        axes=WORDS,
    )


def test_matches_llama(lab, rng):
    for dtype, atol in PRECISIONS:
        for kv_heads in (2, 4, 1):
            theirs, sizes = llama_block(rng, kv_heads=kv_heads, dtype=dtype)
            time = number(rng, 3, 6)
            x, mask = random(rng, 2, time, sizes[0], dtype=dtype), causal(time)
            want = run_llama(theirs, x, mask).detach()
            got = mine_like(lab, theirs, sizes)(x.clone(), mask)
            otherwise = "the same weights, without positions: x + self_attn(input_layernorm(x)), "
            otherwise += "then the same with post_attention_layernorm and mlp"
            wrong = block_mistakes(theirs, x, mask)
            right(got, want, atol=atol, wrong=wrong, otherwise=otherwise, axes=WORDS)

    theirs, sizes = llama_block(rng, eps=1e-5)
    x, mask = 1e-3 * random(rng, 2, 3, sizes[0]), causal(3)
    want, weights = run_llama(theirs, x, mask).detach(), theirs.state_dict()
    module = build(lab, "Block", *sizes, weights=weights, dtype=torch.float64)
    because = "a block that is not told eps has norms with 1e-5"
    close(module(x.clone(), mask), want, atol=1e-9, because=because, axes=WORDS)


def test_hands_on(lab, rng):
    theirs, sizes = llama_block(rng)
    time, past = number(rng, 4, 6), 3
    x, turns = random(rng, 2, time, sizes[0]), angles(rng, theirs, time)
    want = run_llama(theirs, x, causal(time), turns).detach()
    module = mine_like(lab, theirs, sizes)

    def turned(first, last):
        cos, sin = (part[:, first:last] for part in turns)
        return lambda t: apply_rotary_pos_emb(t, t, cos, sin)[0]

    close(
        module(x.clone(), causal(time), turned(0, time)),
        want,
        atol=1e-9,
        because="mask and rotate go to self_attn, which knows what to do with them",
        axes=WORDS,
    )
    kept = []

    def extend(k, v):
        kept.append((k, v))
        return tuple(torch.cat(parts, dim=2) for parts in zip(*kept, strict=True))

    for first, last in [(0, past), (past, time)]:
        got = module(
            x[:, first:last].clone(),
            causal(last - first, first),
            turned(first, last),
            SimpleNamespace(extend=extend),
        )
        close(
            got,
            want[:, first:last],
            atol=1e-9,
            because=f"words {first} to {last - 1}, with those before in the cache, should come out "
            "as they do in the whole text; the cache goes to self_attn",
            axes=WORDS,
        )
    assert len(kept) == 2, f"in two calls the cache was extended {len(kept)} times, not twice"


def test_inputs_untouched(lab, rng):
    words = random(rng, 2, 4, 8)
    for name, arguments in [
        ("RMSNorm", (8,)),
        ("LayerNorm", (8,)),
        ("SwiGLU", (8, 12)),
        ("Block", (8, 12, 2)),
    ]:
        x, mask = words.clone(), causal(4)
        module = build(lab, name, *arguments, dtype=torch.float64)
        got = module(x, mask) if name == "Block" else module(x)
        has(got, words.shape, torch.float64, name)
        assert not torch.equal(got, words), f"{name} returned its argument as it came"
        because = f"{name} changed its argument in place; the caller still needs it"
        same(x, words, because=because)
        same(mask, causal(4), because=because)


def test_gradients(lab, rng):
    theirs, sizes = llama_block(rng)
    x, cotangent = random(rng, 2, 4, sizes[0]), random(rng, 2, 4, sizes[0])
    mask, inner = causal(4), x.clone().requires_grad_()
    module = mine_like(lab, theirs, sizes)
    has(module(x.clone(), mask), x.shape, x.dtype, "Block")
    leaves = dict(theirs.named_parameters())
    output = run_llama(theirs, inner, mask)
    want = torch.autograd.grad((output * cotangent).sum(), [inner, *leaves.values()])
    found = lab.vjp(module, x, mask, cotangent=cotangent)
    close(
        {"x": found.args[0], **found.params},
        dict(zip(["x", *leaves], want, strict=True)),
        atol=1e-9,
        because="the gradients with respect to x and all weights of a block; a None means that "
        "your code cut the graph, as .detach(), .item() and .data do",
    )
