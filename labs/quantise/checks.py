"""What `lab.yaml` grades.

The oracles: numbers whose codes are known because they were made from them, torch's fake
quantisation, numpy's bytes, and bounds that hold whatever the code looks like.
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F

from llmpath.labkit.checks import close, describe, same

F64 = torch.float64


def random(rng, *shape, dtype=F64):
    return torch.randn(*shape, generator=rng, dtype=F64).to(dtype)


def loud(rng, rows, columns, dtype=F64):
    """Weights whose rows and columns are of very different sizes."""
    down = 10 ** torch.linspace(-2, 1, rows, dtype=F64)[torch.randperm(rows, generator=rng)]
    across = 3 ** torch.linspace(-1, 1, columns, dtype=F64)[torch.randperm(columns, generator=rng)]
    return (random(rng, rows, columns) * down[:, None] * across).to(dtype)


def top(bits):
    return 2 ** (bits - 1) - 1


def integers(got, dtype, what):
    """Check that a result is a tensor of whole numbers of this kind, and give it back."""
    fine = isinstance(got, torch.Tensor) and got.dtype == dtype
    assert fine, f"{what} should be a tensor of {dtype}, and came as {describe(got)}"
    return got


def pair(lab, w, bits, axis):
    """What the learner's function gives for this very w, once it is codes and scales."""
    got = lab.quantise(w, bits, axis)
    two = isinstance(got, (tuple, list)) and len(got) == 2
    assert two, f"quantise should return codes and scales, and returned {describe(got)}"
    codes, scales = got
    assert isinstance(scales, torch.Tensor), f"the scales should be a tensor: {describe(scales)}"
    return integers(codes, torch.int8, "the codes"), scales


def quantised(lab, w, bits, axis):
    """The same for a copy of w, once their shapes are right."""
    codes, scales = pair(lab, w.clone(), bits, axis)
    assert codes.shape == w.shape, (
        f"the codes should have the shape of w, {tuple(w.shape)}, and have {tuple(codes.shape)}"
    )
    want = scale_shape(w, axis)
    assert tuple(scales.shape) == want, (
        f"for w of shape {tuple(w.shape)} and axis={axis} the scales should have the shape {want}, "
        f"and have {tuple(scales.shape)}"
    )
    return codes, scales


def scale_shape(w, axis):
    channel = None if axis is None else axis % w.dim()
    return tuple(n if dim == channel else 1 for dim, n in enumerate(w.shape))


def known(rng, shape, axis, bits):
    """Weights that were made from codes and steps, with a rest of less than half a step."""
    inner = max(top(bits) - 1, 1)
    codes = torch.randint(-inner, inner + 1, shape, generator=rng).to(F64)
    rest = 0.8 * (torch.rand(shape, generator=rng, dtype=F64) - 0.5)
    channel = None if axis is None else axis % len(shape)
    rows = codes.movedim(channel, 0).flatten(1) if channel is not None else codes.view(1, -1)
    rests = rest.movedim(channel, 0).flatten(1) if channel is not None else rest.view(1, -1)
    for number, (row, extra) in enumerate(zip(rows, rests, strict=True)):
        row[int(torch.randint(len(row), (), generator=rng))] = top(bits) * (-1) ** (number + 1)
        extra[row.abs() == top(bits)] = 0.0
    if channel is not None:
        moved = [shape[channel], *(n for dim, n in enumerate(shape) if dim != channel)]
        codes, rest = (part.view(moved).movedim(0, channel) for part in (rows, rests))
    steps = 10 ** (2 * torch.rand(scale_shape(codes, axis), generator=rng, dtype=F64) - 2)
    return codes, steps, (codes + rest) * steps


# Codes and steps


def test_by_hand(lab):
    w = torch.tensor([[1.4, -0.52, 0.34], [0.06, 0.24, -0.7]], dtype=F64)
    codes, scales = quantised(lab, w, 4, 0)
    because = (
        "4 bits have codes up to 7. The rows' largest are 1.4 and 0.7, so the steps are 0.2 and 0.1"
    )
    close(scales, torch.tensor([[0.2], [0.1]], dtype=F64), atol=1e-9, because=because)
    because = "in steps the rows are (7, -2.6, 1.7) and (0.6, 2.4, -7); each goes to the nearest"
    same(codes, torch.tensor([[7, -3, 2], [1, 2, -7]], dtype=torch.int8), because=because)


def test_known_codes(lab, rng):
    for bits, shape, axis in [
        (8, (5, 7), 0),
        (4, (6, 3), 1),
        (3, (2, 5), -1),
        (6, (2, 3, 4), 1),
        (2, (4, 9), -2),
    ]:
        want, steps, w = known(rng, shape, axis, bits)
        codes, scales = quantised(lab, w, bits, axis)
        because = f"weights made of known steps: {bits} bits, shape {shape}, axis={axis}"
        close(scales, steps, atol=1e-9, because=because)
        same(codes, want.to(torch.int8), because=because)


def test_whole_tensor(lab, rng):
    for bits, shape in [(8, (5, 4)), (4, (3, 6)), (4, (7,)), (5, (2, 3, 4))]:
        want, steps, w = known(rng, shape, None, bits)
        codes, scales = quantised(lab, w, bits, None)
        because = f"axis=None: one step for all of a tensor of shape {shape}, {bits} bits"
        close(scales, steps, atol=1e-9, because=because)
        same(codes, want.to(torch.int8), because=because)


def test_matches_torch(lab, rng):
    for bits, (shape, axis) in itertools.product((8, 4), (((6, 5), 0), ((3, 8), 1))):
        _, _, w = known(rng, shape, axis, bits)
        w = w.float()
        got = lab.dequantise(*quantised(lab, w, bits, axis))
        steps = w.abs().amax(1 - axis) / top(bits)
        zero = torch.zeros(len(steps), dtype=torch.int32)
        want = torch.fake_quantize_per_channel_affine(w, steps, zero, axis, -top(bits), top(bits))
        because = f"torch.fake_quantize_per_channel_affine, {bits} bits, axis={axis}"
        close(got, want, atol=1e-6, rtol=1e-5, because=because)


def test_half_a_step(lab, rng):
    for bits, axis in itertools.product(range(2, 9), (0, 1)):
        w = loud(rng, 6, 9)
        codes, scales = quantised(lab, w, bits, axis)
        step = w.abs().amax(1 - axis, keepdim=True) / top(bits)
        off = (codes.to(F64) * scales.to(F64) - w).abs() / step
        worst = float(off.max())
        assert worst <= 0.5 + 1e-9, (
            f"with {bits} bits and axis={axis} a weight is {worst:.3g} steps away from what its "
            "code stands for; the nearest code is never more than half a step away"
        )


def test_channels_alone(lab, rng):
    for axis in (0, 1, -1):
        w = random(rng, 4, 6)
        loudest = int(torch.randint(w.size(axis), (), generator=rng))
        louder = w.clone()
        louder.select(axis, loudest).mul_(1000)
        rest = [i for i in range(w.size(axis)) if i != loudest]
        before, after = (quantised(lab, each, 4, axis) for each in (w, louder))
        because = f"axis={axis}: one channel grew a thousandfold, and changed another"
        for mine, other in zip(after, before, strict=True):
            index = torch.tensor(rest)
            close(mine.index_select(axis, index).double(),
                  other.index_select(axis, index).double(), atol=1e-9, because=because)  # fmt: skip


def test_symmetric(lab, rng):
    for bits, axis in itertools.product((8, 4, 2), (0, None)):
        w = loud(rng, 5, 8)
        w[0, 0] = -1e3
        for each in (w, -w):
            codes, _ = quantised(lab, each, bits, axis)
            low, high = int(codes.min()), int(codes.max())
            assert max(-low, high) <= top(bits), (
                f"with {bits} bits the codes should lie between -{top(bits)} and {top(bits)}; "
                f"yours go from {low} to {high}"
            )
            extreme = int(codes[0, 0])
            want = top(bits) if each[0, 0] > 0 else -top(bits)
            assert extreme == want, (
                f"with {bits} bits the largest weight of a channel, {float(each[0, 0]):g}, should "
                f"have the code {want}, and has {extreme}"
            )
        here, there = (quantised(lab, each, bits, axis)[0] for each in (w, -w))
        same(there, -here, because="-w should have the same codes as w, with the other sign")


def test_zeros(lab, rng):
    w = random(rng, 4, 5, dtype=torch.float32)
    w[2] = 0.0
    for each, axis in [(w, 0), (w.T.contiguous(), 1), (torch.zeros(3, 2), None)]:
        codes, scales = quantised(lab, each, 4, axis)
        assert bool(torch.isfinite(scales).all()), "the step of a channel of zeros is not finite"
        assert bool((scales > 0).all()), "the step of a channel of zeros should be above 0"
        where = each == 0
        same(codes[where], torch.zeros_like(codes[where]), because="zero should have the code 0")
        back = lab.dequantise(codes, scales)
        close(back[where], each[where], atol=0, because="zeros should come back as zeros")
    faint = torch.full((2, 3), 1e-44)  # its step, 1e-44 / 127, is 0 in float32
    codes, scales = quantised(lab, faint, 8, 0)
    close(lab.dequantise(codes, scales), faint, atol=1e-6, because="weights of 1e-44 are all but 0")


def test_small_weights(lab, rng):
    for size in (1e-9, 1e-14):
        want, steps, w = known(rng, (3, 5), 0, 4)
        codes, scales = quantised(lab, (w * size).float(), 4, 0)
        because = (
            f"weights of about {size:g} have steps that are as small; nothing is added to them"
        )
        close(scales.double() / size, steps, atol=1e-6, because=because)
        same(codes, want.to(torch.int8), because=because)
    least = 2.0**-149  # of float32. 180 / 127 of it is rounded to 1 of it, and 180 fits nowhere
    codes, _ = quantised(lab, torch.tensor([[180 * least, -180 * least]]), 8, 0)
    because = "weights so small that their step cannot be told exactly still have codes up to 127"
    same(codes, torch.tensor([[127, -127]], dtype=torch.int8), because=because)


def test_half_precision(lab, rng):
    for dtype in (torch.float16, torch.bfloat16):
        w = loud(rng, 6, 40, dtype)
        codes, scales = quantised(lab, w, 8, 0)
        assert scales.dtype == torch.float32, (
            f"the scales of {dtype} weights should be float32, and are {scales.dtype}"
        )
        step = w.double().abs().amax(1, keepdim=True) / 127
        close(scales.double(), step, atol=0, rtol=1e-6,
              because=f"the steps of {dtype} weights are worked out in float32")  # fmt: skip
        worst = float(((codes.double() * scales.double() - w.double()).abs() / step).max())
        assert worst <= 0.501, (
            f"a {dtype} weight is {worst:.3g} steps from what its code stands for: widen w before "
            "you divide"
        )
    for dtype in (torch.float32, F64):
        _, scales = quantised(lab, random(rng, 3, 4, dtype=dtype), 8, 0)
        assert scales.dtype == dtype, f"the scales of {dtype} weights are {scales.dtype}"


def test_refuses_bits(lab, rng):
    w = random(rng, 2, 3)
    for bits in (1, 9, 0, -4):
        try:
            lab.quantise(w, bits, 0)
        except ValueError:
            continue
        raise AssertionError(f"bits={bits} should raise ValueError: int8 holds 2 to 8 bits")
    for bits in (2, 8):
        quantised(lab, w, bits, 0)


def test_dequantise(lab, rng):
    codes = torch.tensor([[7, -3, 0], [-127, 127, 1]], dtype=torch.int8)
    scales = torch.tensor([[0.5], [2.0]])
    because = "each code times the step of its row; (-127) · 2 is -254, which int8 cannot hold"
    want = torch.tensor([[3.5, -1.5, 0.0], [-254.0, 254.0, 2.0]])
    close(lab.dequantise(codes, scales), want, atol=1e-6, because=because)
    for shape in [(1, 3), (1, 1)]:
        steps = random(rng, *shape).abs()
        want = codes.to(F64) * steps
        close(lab.dequantise(codes, steps), want, atol=1e-9, because=f"scales of shape {shape}")


# Bytes


def nibbles(codes):
    """The same bytes by numpy: -1 and 255 are the same eight bits, whose lower four are kept."""
    array = codes.numpy().astype(np.uint8) % 16
    array = np.concatenate([array, np.zeros_like(array[..., : array.shape[-1] % 2])], axis=-1)
    return torch.from_numpy(array[..., 0::2] + 16 * array[..., 1::2])


def test_pack_by_hand(lab):
    for codes, want in [([1, -2], [225]), ([-1, 7], [127]), ([3, -7, 5], [147, 5]), ([-1], [15])]:
        got = lab.pack(torch.tensor(codes, dtype=torch.int8))
        bits = " ".join(f"{byte >> 4:04b} {byte & 15:04b}," for byte in want).rstrip(",")
        because = f"the codes {codes} are the bytes {bits}: the first code in the lower half"
        same(got, torch.tensor(want, dtype=torch.uint8), because=because)


def test_unpack_by_hand(lab):
    for packed, length, want in [
        ([225], 2, [1, -2]),
        ([127], 2, [-1, 7]),
        ([147, 5], 3, [3, -7, 5]),
        ([0x88], 2, [-8, -8]),
        ([0x0F], 1, [-1]),
    ]:
        got = lab.unpack(torch.tensor(packed, dtype=torch.uint8), length)
        halves = ", ".join(f"{byte >> 4:04b} {byte & 15:04b}" for byte in packed)
        because = f"the bytes {halves}; 1000 is -8 and 1111 is -1"
        same(got, torch.tensor(want, dtype=torch.int8), because=because)


def test_pack_matches_numpy(lab, rng):
    for shape in [(16,), (7,), (3, 4), (3, 5), (2, 3, 1), (2, 0)]:
        codes = torch.randint(-8, 8, shape, generator=rng).to(torch.int8)
        because = f"codes of shape {shape}; pairs are made along the last dimension"
        same(lab.pack(codes.clone()), nibbles(codes), because=because)
        same(lab.unpack(nibbles(codes), shape[-1]), codes, because=because)


# The layer


def layer(lab, rng, outputs, inputs, bits, dtype=F64, bias=True):
    """The learner's layer; the linear layer that it stands for; weight and bias."""
    weight = loud(rng, outputs, inputs, dtype)
    weights = {"weight": weight, **({"bias": random(rng, outputs, dtype=dtype)} if bias else {})}
    linear = lab.nn.Linear(inputs, outputs, bias=bias)
    linear.to(dtype)
    linear.load_state_dict({name: value.clone() for name, value in weights.items()})
    return lab.QuantLinear(linear, bits), linear, weight, weights.get("bias")


def rounded(weight, bits):
    """The weight with which a layer should compute."""
    step = weight.abs().amax(1, keepdim=True) / top(bits)
    return (weight / step).round() * step


LAYERS = [(8, 3, 5, True), (4, 6, 7, True), (4, 2, 8, False), (3, 5, 4, True), (6, 4, 3, False)]


def test_forward(lab, rng):
    for bits, outputs, inputs, bias in LAYERS:
        module, _, weight, b = layer(lab, rng, outputs, inputs, bits, bias=bias)
        x = random(rng, 2, 3, inputs)
        because = (
            f"{bits} bits, {inputs} inputs, {outputs} outputs, bias={bias}: x times the weight "
            "that the codes stand for"
        )
        close(module.weight(), rounded(weight, bits), atol=1e-9, because=because)
        close(module(x.clone()), F.linear(x, rounded(weight, bits), b), atol=1e-9, because=because)


def test_forward_is_near(lab, rng):
    for bits, outputs, inputs, bias in LAYERS:
        module, linear, weight, _ = layer(lab, rng, outputs, inputs, bits, bias=bias)
        x = random(rng, 4, inputs)
        got, want = module(x.clone()), linear(x.clone())
        close(got, want, atol=float("inf"), because="shape and dtype of the linear layer's output")
        step = weight.abs().amax(1) / top(bits)
        allowed = x.abs().sum(-1, keepdim=True) * step / 2
        worst = float(((got - want).abs() / allowed).max())
        assert worst <= 1 + 1e-9, (
            f"with {bits} bits an output is {worst:.3g} times as far from that of the linear layer "
            "as it can be when each weight is off by half a step of its row"
        )


def test_forward_dtypes(lab, rng):
    for dtype, atol in [(torch.float32, 1e-5), (torch.bfloat16, 6e-2), (torch.float16, 1e-2)]:
        module, _, weight, bias = layer(lab, rng, 3, 6, 8, dtype=torch.float32)
        x = random(rng, 2, 6, dtype=dtype)
        want = F.linear(x.double(), rounded(weight.double(), 8), bias.double())
        because = f"x is {dtype}, the scales float32: what comes out should be {dtype} again"
        close(module(x.clone()), want.to(dtype), atol=10 * atol, rtol=atol, because=because)


def test_layer_is_small(lab, rng):
    for bits, outputs, inputs, bias in LAYERS:
        module, _, _, _ = layer(lab, rng, outputs, inputs, bits, dtype=torch.float32, bias=bias)
        held = dict(module.state_dict())
        names = {"codes", "scales"} | ({"bias"} if bias else set())
        assert set(held) == names, (
            f"a QuantLinear should hold {', '.join(sorted(names))}, and holds "
            f"{', '.join(sorted(held)) or 'nothing'}"
        )
        packed = bits <= 4
        want = (outputs, (inputs + 1) // 2 if packed else inputs)
        kind = torch.uint8 if packed else torch.int8
        shape = tuple(held["codes"].shape)
        assert (shape, held["codes"].dtype) == (want, kind), (
            f"with {bits} bits and {inputs} inputs the codes should be {kind} of shape {want}, and "
            f"are {held['codes'].dtype} of shape {shape}"
        )
        assert tuple(held["scales"].shape) == (outputs, 1), (
            f"there should be one scale for each of the {outputs} outputs, ({outputs}, 1), and "
            f"there are {tuple(held['scales'].shape)}"
        )
        parameters = len(list(module.parameters()))
        assert parameters == 0, f"codes are not learned, but there are {parameters} parameters"
        stands_alone(lab, module)


def stands_alone(lab, module):
    """Copy the layer, as averaging weights does: only what has no history can be copied."""
    try:
        lab.torch.optim.swa_utils.AveragedModel(module)
    except RuntimeError:
        raise AssertionError(
            "the layer cannot be copied: a buffer of it is still a part of the graph that begins "
            "at the linear layer's weight, and holds that weight in memory. Detach the weight first"
        ) from None


def test_saved_and_loaded(lab, rng):
    for bits, inputs in [(8, 5), (4, 7)]:
        one, _, _, _ = layer(lab, rng, 3, inputs, bits)
        other, _, _, _ = layer(lab, rng, 3, inputs, bits)
        x = random(rng, 2, inputs)
        before, want = other(x.clone()), one(x.clone())
        for got in (before, want):
            fine = isinstance(got, torch.Tensor) and got.shape == (2, 3)
            assert fine, f"the layer has 3 outputs and x 2 rows; it gave {describe(got)}"
        assert not torch.equal(before, want), "two layers with other weights gave the same"
        other.load_state_dict(dict(one.state_dict()))
        because = "a layer was given the state_dict of another, and does not compute as that does"
        close(other(x.clone()), want, atol=1e-9, because=because)


def test_gradients(lab, rng):
    for bits in (8, 4):
        module, _, weight, _ = layer(lab, rng, 4, 5, bits)
        x, cotangent = random(rng, 2, 3, 5), random(rng, 2, 3, 4)
        found = lab.vjp(module, x, cotangent=cotangent)
        assert found.args[0] is not None, (
            "no gradient reaches x: something between x and the output cuts the graph, such as "
            "no_grad, detach or .data"
        )
        because = "the gradient with respect to x: an adapter below this layer learns from it"
        close(found.args[0], cotangent @ rounded(weight, bits), atol=1e-9, because=because)


def test_inputs_untouched(lab, rng):
    w = loud(rng, 3, 5)
    w[1] = 0.0
    for axis in (0, 1, None):
        mine = w.clone()
        pair(lab, mine, 4, axis)
        same(mine, w, because="quantise changed its argument in place")
    codes = torch.randint(-7, 8, (2, 5), generator=rng).to(torch.int8)
    mine = codes.clone()
    integers(lab.pack(mine), torch.uint8, "packed codes")
    same(mine, codes, because="pack changed its argument in place")
    module, linear, weight, bias = layer(lab, rng, 3, 5, 4)
    module(random(rng, 2, 5))
    kept = dict(linear.state_dict())
    same(kept, {"weight": weight, "bias": bias}, because="the linear layer should stay as it was")
