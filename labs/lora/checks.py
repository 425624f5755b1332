"""What `lab.yaml` grades.

The oracles: closed forms in float64 (what the layer computes, and its gradients, as products of
the four matrices), numbers worked out by hand, and properties such as that nothing but the
adapter changes. That all of it equals peft is proven in the repository's tests, which have peft.
"""

import math

import torch
import torch.nn.functional as F

from llmpath.labkit.checks import alike, close, describe, has, raises, same

F64 = torch.float64
QV = ("q_proj", "v_proj")
PREFIX = "base_model.model."
PARTS = ("lora_A", "lora_B")
# in_features, out_features, rank, alpha, bias: no two sizes alike, scales above and below 1.
LAYERS = [(5, 3, 2, 6.0, True), (4, 7, 3, 1.5, False), (6, 4, 1, 0.5, True), (3, 5, 4, 8.0, False)]


def random(rng, *shape, dtype=F64):
    return torch.randn(*shape, generator=rng, dtype=F64).to(dtype)


class Known:
    """A layer of the learner's whose four tensors are known.

    Attributes:
        layer: the learner's.
        w, b, a, c: weight and bias of the linear layer, weights of lora_A and lora_B.
        scale: by which the adapter counts.
    """

    def __init__(self, lab, rng, inputs, outputs, rank, alpha, bias, dtype=F64):
        linear = lab.nn.Linear(inputs, outputs, bias=bias)
        linear.to(dtype)
        self.w = random(rng, outputs, inputs, dtype=dtype)
        self.b = random(rng, outputs, dtype=dtype) if bias else None
        given = {"weight": self.w, "bias": self.b} if bias else {"weight": self.w}
        linear.load_state_dict({name: value.clone() for name, value in given.items()})
        self.linear, self.scale = linear, alpha / rank
        self.layer = layer_of(lab, linear, rank, alpha)
        wide = torch.promote_types(dtype, torch.float32)
        self.a = random(rng, rank, inputs, dtype=wide)
        self.c = random(rng, outputs, rank, dtype=wide)
        self.teach(self.a, self.c)

    def teach(self, a, c):
        """Give the adapter these weights."""
        set_weight(self.layer, "lora_A", a)
        set_weight(self.layer, "lora_B", c)
        self.a, self.c = a, c

    def whole(self):
        """The weight with which the layer computes."""
        return self.w + self.scale * self.c @ self.a

    def mistakes(self):
        """Known wrong weights, by what to tell whoever computes with one."""
        product, alpha = self.c @ self.a, self.scale * self.a.size(0)
        return {
            "the scale, alpha / rank, is not used": self.w + product,
            "this counts the adapter by alpha; it is to be alpha / rank": self.w + alpha * product,
            "this divides by the root of the rank, as rsLoRA does; LoRA divides by the rank": (
                self.w + alpha / math.sqrt(self.a.size(0)) * product
            ),
            "this counts the adapter by rank / alpha, upside down": self.w + product / self.scale,
            "the adapter is not used": self.w,
            "the adapter counts twice": self.w + 2 * self.scale * product,
            "the adapter alone is used: the linear layer is missing": self.scale * product,
        }

    def computes(self, x, weight, because):
        """Check what the layer makes of x; `weight` is what it is to compute with."""
        got, want = self.layer(x.clone()), F.linear(x, weight, self.b)
        has(got, tuple(want.shape), want.dtype, "the layer")
        if not alike(got, want, atol=1e-9):
            for say, wrong in self.mistakes().items():
                if alike(got, F.linear(x, wrong, self.b)):
                    because = f"{say} ({because})"
                    break
        close(got, want, atol=1e-9, because=because)


def layer_of(lab, linear, rank, alpha, generator=None):
    """One of the learner's layers, once it has the parts that it is to have."""
    layer = lab.LoRALinear(linear, rank, alpha, generator)
    held = list(dict(layer.state_dict()))
    for part in ("base_layer", *PARTS):
        assert f"{part}.weight" in held, (
            f"the layer should have a part called {part} with a weight; what it holds is "
            f"{', '.join(held) or 'nothing'}"
        )
    for part, shape in zip(PARTS, ((rank, linear.in_features), (linear.out_features, rank)),
                           strict=True):  # fmt: skip
        found = tuple(getattr(layer, part).weight.shape)
        assert found == shape, (
            f"for {linear.in_features} inputs, {linear.out_features} outputs and rank {rank} the "
            f"weight of {part} should have the shape {shape}, and has {found}"
        )
        assert f"{part}.bias" not in held, f"{part} should have no bias"
    return layer


def set_weight(layer, part, value):
    """Put a value into the weight of a part, whatever else the layer holds."""
    getattr(layer, part).load_state_dict({"weight": value.clone()})


# One layer


def test_by_hand(lab):
    linear = lab.nn.Linear(3, 2)
    weights = {"weight": torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])}
    linear.load_state_dict({**weights, "bias": torch.tensor([0.5, 0.0])})
    layer = layer_of(lab, linear, 1, 2.0)
    set_weight(layer, "lora_A", torch.tensor([[1.0, 1.0, 0.0]]))
    set_weight(layer, "lora_B", torch.tensor([[3.0], [-1.0]]))
    because = (
        "x = (1, 2, 1): W x + b is (3.5, 1); A x is 3, B A x is (9, -3), and the scale is 2 / 1"
    )
    got = layer(torch.tensor([[1.0, 2.0, 1.0]]))
    close(got, torch.tensor([[21.5, -5.0]]), atol=1e-5, because=because)
    want = torch.tensor([[6.0, 6.0, 0.0], [-2.0, -2.0, 0.0]])
    close(layer.delta(), want, atol=1e-5, because="delta() is 2 · B A, two rows of three")


def test_closed_form(lab, rng):
    for sizes in LAYERS:
        known = Known(lab, rng, *sizes)
        inputs, outputs, rank, alpha, bias = sizes
        because = (
            f"{inputs} inputs, {outputs} outputs, rank {rank}, alpha {alpha:g}, bias={bias}: the "
            "same as one linear layer with the weight W + alpha / rank · B A"
        )
        for shape in [(inputs,), (4, inputs), (2, 3, inputs)]:
            known.computes(random(rng, *shape), known.whole(), because)
        because = f"delta(), for rank {rank} and alpha {alpha:g}, is alpha / rank · B A"
        close(known.layer.delta(), known.scale * known.c @ known.a, atol=1e-9, because=because)
    # In float32, A x is 5 here and the layer's output 1e21, but 1e20 · 1e20 is infinite.
    known = Known(lab, rng, 5, 3, 2, 2.0, False, dtype=torch.float32)
    known.teach(torch.full((2, 5), 1e20), torch.full((3, 2), 1e20))
    got = known.layer(torch.full((5,), 1e-20))
    has(got, (3,), torch.float32, "the layer")
    assert bool(got.isfinite().all()), (
        "B (A x) is about 1e21 here, and B A, as one matrix, larger than float32 can hold: let x "
        "go through A and then through B, without making the large product of the two"
    )


def test_scale_is_alpha_over_rank(lab):
    for rank, alpha in [(1, 1.0), (2, 16.0), (8, 4.0), (3, 7.5)]:
        layer = layer_of(lab, lab.nn.Linear(5, 4), rank, alpha)
        because = f"scale is alpha / rank: {alpha:g} / {rank}"
        close(layer.scale, alpha / rank, atol=1e-12, because=because)


def test_starts_as_the_base(lab, rng):
    for inputs, outputs, rank, alpha, bias in LAYERS:
        linear = lab.nn.Linear(inputs, outputs, bias=bias)
        x = random(rng, 2, 3, inputs, dtype=torch.float32)
        before = linear(x.clone())
        layer = layer_of(lab, linear, rank, alpha)
        because = "a fresh layer should give just what the linear layer gave, since B is zero"
        close(layer(x.clone()), before, atol=0, because=because)
        set_weight(layer, "lora_B", torch.ones(outputs, rank))
        moved = float((layer(x.clone()) - before).abs().max())
        assert moved > 1e-3, "with B no longer zero nothing changes: is A zero, too, or not used?"


def test_drawn_as_peft_does(lab):
    inputs, outputs, rank = 40, 60, 30
    linear = lab.nn.Linear(inputs, outputs)
    layer = layer_of(lab, linear, rank, 1.0, lab.torch.Generator().manual_seed(5))
    a, b = layer.lora_A.weight, layer.lora_B.weight
    same(b, torch.zeros(outputs, rank), because="the weight of lora_B should be zero at first")
    bound, largest = 1 / math.sqrt(inputs), float(a.abs().max())
    assert largest <= bound * (1 + 1e-6), (
        f"A should be drawn uniformly from ±1/√{inputs} = ±{bound:.3g}, which is what "
        f"kaiming_uniform_ with a=√5 does; its largest number is {largest:.3g}"
    )
    # 1,200 uniform numbers: their spread is bound/√3, give or take 1.3 %; none above 0.95 of the
    # bound is less likely than 1e-26.
    spread = float(a.std()) / (bound / math.sqrt(3))
    even = 0.9 < spread < 1.1 and largest > 0.95 * bound
    assert even, (
        f"A should be spread evenly over ±{bound:.3g} (kaiming_uniform_ with a=√5): its standard "
        f"deviation is {spread:.2f} times, and its largest number {largest / bound:.2f} times "
        "what it should be"
    )
    again = layer_of(lab, linear, rank, 1.0, lab.torch.Generator().manual_seed(5))
    same(again.lora_A.weight, a, because="the same generator, seeded alike, should draw the same A")
    other = layer_of(lab, linear, rank, 1.0, lab.torch.Generator().manual_seed(6))
    assert not torch.equal(other.lora_A.weight, a), "the generator should decide what A is"


def test_gradients(lab, rng):
    for sizes in LAYERS:
        known = Known(lab, rng, *sizes)
        inputs, outputs, *_ = sizes
        x, g = random(rng, 2, 3, inputs), random(rng, 2, 3, outputs)
        found = lab.vjp(known.layer, x.clone(), cotangent=g)
        rows, up = x.flatten(0, 1), g.flatten(0, 1)
        want = {
            "lora_A.weight": known.scale * (up @ known.c).T @ rows,
            "lora_B.weight": known.scale * up.T @ (rows @ known.a.T),
        }
        for name, gradient in want.items():
            got = found.params.get(name)
            assert got is not None, f"no gradient reaches {name}, so it can never learn"
            because = f"the gradient with respect to {name}, of the closed form"
            close(got, gradient, atol=1e-9, because=because)
        because = "the gradient with respect to x: layers below learn from it"
        close(found.args[0], g @ known.whole(), atol=1e-9, because=because)


def test_base_is_frozen(lab, rng):
    for sizes in LAYERS:
        known = Known(lab, rng, *sizes)
        inputs, outputs, *_ = sizes
        found = lab.vjp(known.layer, random(rng, 4, inputs), cotangent=random(rng, 4, outputs))
        for name, gradient in found.params.items():
            frozen = not name.startswith("lora_")
            assert gradient is None or not frozen, (
                f"{name} has a gradient, so training would change it; only lora_A and lora_B learn"
            )
        assert known.layer.base_layer == known.linear, (
            "base_layer should be the very layer that was given, not a copy of it"
        )


def test_half_precision(lab, rng):
    for dtype in (torch.bfloat16, torch.float16):
        known = Known(lab, rng, 6, 4, 2, 3.0, True, dtype=dtype)
        for part in PARTS:
            kind = getattr(known.layer, part).weight.dtype
            assert kind == torch.float32, (
                f"beside a weight in {dtype} {part} should be float32, and is {kind}"
            )
        x = random(rng, 3, 6, dtype=dtype)
        got = known.layer(x.clone())
        has(got, (3, 4), dtype, "the layer")
        want = F.linear(x.double(), known.whole().double(), known.b.double()).to(dtype)
        because = f"weight and x in {dtype}, the adapter in float32: about three digits are left"
        close(got, want, atol=0.15, rtol=0.05, because=because)


def test_refuses_rank(lab):
    for rank in (0, -2):
        raises(lambda r=rank: lab.LoRALinear(lab.nn.Linear(4, 3), r, 1.0), f"rank {rank}")
    layer_of(lab, lab.nn.Linear(4, 3), 1, 1.0)


# Merging


def test_merge_by_hand(lab):
    linear = lab.nn.Linear(2, 3, bias=False)
    linear.load_state_dict({"weight": torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])})
    layer = layer_of(lab, linear, 1, 0.5)
    set_weight(layer, "lora_A", torch.tensor([[2.0, 4.0]]))
    set_weight(layer, "lora_B", torch.tensor([[1.0], [0.0], [-1.0]]))
    layer.merge()
    want = torch.tensor([[2.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
    because = "B A is ((2, 4), (0, 0), (-2, -4)); half of it is added to the weight"
    close(linear.weight, want, atol=1e-6, because=because)


def test_merged_equals_unmerged(lab, rng):
    for sizes in LAYERS:
        known = Known(lab, rng, *sizes)
        x = random(rng, 2, 3, sizes[0])
        same(known.layer.merged, False, because="a fresh layer is not merged")
        known.layer.merge()
        same(known.layer.merged, True, because="after merge(), merged should be True")
        because = "after merge() the linear layer's weight should be W + alpha / rank · B A"
        close(known.linear.weight, known.whole(), atol=1e-9, because=because)
        known.computes(x, known.whole(), "merged, the layer gives what it gave before")
        known.layer.unmerge()
        same(known.layer.merged, False, because="after unmerge(), merged should be False")
        known.computes(x, known.whole(), "unmerged again, the layer gives what it gave before")


def test_merging_twice(lab, rng):
    for sizes in LAYERS:
        known = Known(lab, rng, *sizes)
        known.layer.merge()
        once = known.linear.weight.clone()
        known.layer.merge()
        because = "merge() of a merged layer should do nothing, and the weight changed again"
        same(known.linear.weight, once, because=because)
        known.layer.unmerge()
        because = "merged twice and unmerged once, the weight should be what it was at first"
        same(known.linear.weight, known.w, because=because)
        known.layer.unmerge()
        because = "unmerge() of a layer that is not merged should do nothing"
        same(known.linear.weight, known.w, because=because)


def test_unmerged_bit_for_bit(lab, rng):
    for dtype in (torch.float32, torch.bfloat16):
        known = Known(lab, rng, 7, 5, 2, 3.0, True, dtype=dtype)
        for turn in range(1, 4):
            known.layer.merge()
            known.layer.unmerge()
            because = (
                f"{dtype}, merged and unmerged {turn} times: the weight should be what it was, "
                "bit for bit. W + D - D is not always W in floating point; a copy is"
            )
            same(known.linear.weight, known.w, because=because)
            known.teach(random(rng, 2, 7, dtype=torch.float32), known.c)
        known.layer.merge()
        learned = random(rng, 2, 7, dtype=torch.float32)
        known.teach(learned, known.c)  # as loading another adapter does
        known.layer.unmerge()
        because = "A changed while it was merged: unmerge() should still give the old weight back"
        same(known.linear.weight, known.w, because=because)


def test_merge_rounds_once(lab, rng):
    known = Known(lab, rng, 8, 6, 3, 2.0, False, dtype=torch.bfloat16)
    known.layer.merge()
    want = (known.w.float() + known.scale * known.c @ known.a).to(torch.bfloat16)
    because = (
        "the weight is bfloat16 and the adapter float32: add in float32, and round the sum, not "
        "the adapter before"
    )
    # Another order of summing in float32 may turn a rounding, by one bit of eight, now and then.
    off = (known.linear.weight.double() - want.double()).abs()
    allowed = want.double().abs() * 2.0**-7
    wrong = int((off > 1e-12).sum())
    if wrong > 2 or bool((off > allowed + 1e-12).any()):
        close(known.linear.weight, want, atol=0, because=because)


# A whole model


def model_of(lab, rng, layers=2):
    """A small GPT in float64 with known weights, and these."""
    model = lab.GPT(lab.Config(11, 8, 12, layers=layers, heads=4, kv_heads=2))
    model.double()
    names = dict(model.state_dict())
    weights = {name: random(rng, *value.shape) / 3 for name, value in names.items()}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict({name: value.clone() for name, value in weights.items()})
    return model, weights


def ids_of(rng, rows=2, time=5):
    return torch.randint(11, (rows, time), generator=rng)


def paths(layers, names=QV):
    """Where layers of these names are in a GPT."""
    where = {"q_proj": "self_attn", "v_proj": "self_attn", "up_proj": "mlp", "o_proj": "self_attn"}
    return [f"model.layers.{n}.{where[name]}.{name}" for n in range(layers) for name in names]


def teach(model, rng, layers, names=QV, rank=2):
    """Give the adapters of a model random weights; returns these by path and part."""
    found = {}
    for path in paths(layers, names):
        layer = model.get_submodule(path)
        for part in PARTS:
            shape = tuple(getattr(layer, part).weight.shape)
            found[f"{path}.{part}.weight"] = random(rng, *shape)
            set_weight(layer, part, found[f"{path}.{part}.weight"])
    return found


def expected(lab, weights, learned, scale):
    """A plain GPT with the adapters in its weights, made here."""
    plain = lab.GPT(lab.Config(11, 8, 12, layers=2, heads=4, kv_heads=2))
    plain.double()
    whole = {name: value.clone() for name, value in weights.items()}
    for name in {name.rsplit(".", 2)[0] for name in learned}:
        product = learned[f"{name}.lora_B.weight"] @ learned[f"{name}.lora_A.weight"]
        whole[f"{name}.weight"] += scale * product
    plain.load_state_dict(whole)
    return plain


def test_adapts_the_named(lab, rng):
    for names, want in [
        (QV, paths(2)),
        (("up_proj",), paths(2, ("up_proj",))),
        (("1.self_attn.o_proj",), ["model.layers.1.self_attn.o_proj"]),
        (("model.layers.0.mlp.up_proj", "v_proj"),
         [*paths(1, ("v_proj", "up_proj")), "model.layers.1.self_attn.v_proj"]),
    ]:  # fmt: skip
        model, _ = model_of(lab, rng)
        returned = lab.adapt(model, list(names), 3, 6.0)
        listed = isinstance(returned, (list, tuple))
        assert listed, f"adapt should return a list of parameters: {describe(returned)}"
        found = {n.rsplit(".", 2)[0] for n in dict(model.state_dict()) if ".lora_" in n}
        because = f"adapt(model, {list(names)}): the paths of the layers that got an adapter"
        same(sorted(found), sorted(want), because=because)
        for path in want:
            layer = model.get_submodule(path)
            same(layer.scale, 2.0, because=f"rank 3 and alpha 6, at {path}")
        shapes = [tuple(getattr(p, "shape", ())) for p in returned]
        held = dict(model.state_dict())
        right = [tuple(held[n].shape) for n in held if ".lora_" in n]
        because = "adapt should return the weights of all A and B, in the model's order"
        same(shapes, right, because=because)
    drawn = []
    for _ in range(2):
        model, _ = model_of(lab, rng)
        lab.adapt(model, ["v_proj"], 3, 6.0, lab.torch.Generator().manual_seed(5))
        drawn.append(model.get_submodule("model.layers.1.self_attn.v_proj").lora_A.weight)
    same(drawn[1], drawn[0], because="adapt should draw A from the generator that it is given")


def test_same_model_at_first(lab, rng):
    model, _ = model_of(lab, rng)
    ids = ids_of(rng)
    before = model(ids)
    lab.adapt(model, list(QV), 2, 4.0)
    inside = any(".lora_A." in name for name in dict(model.state_dict()))
    assert inside, "after adapt there is no lora_A in the model"
    because = "a model that was just adapted should give the logits that it gave before"
    close(model(ids), before, atol=0, because=because)


def test_freezes_the_rest(lab, rng):
    model, _ = model_of(lab, rng)
    lab.adapt(model, list(QV), 2, 4.0)
    teach(model, rng, 2)
    found = lab.vjp(model, ids_of(rng), cotangent=random(rng, 2, 5, 11))
    for name, gradient in found.params.items():
        if ".lora_" in name:
            assert gradient is not None, f"{name} has no gradient, and is all that should learn"
        else:
            assert gradient is None, f"{name} has a gradient: all but the adapters is to be frozen"


def test_learns_something(lab, rng):
    model, _ = model_of(lab, rng)
    model.float()
    before = {name: value.clone() for name, value in dict(model.state_dict()).items()}
    lab.adapt(model, ["o_proj", "down_proj"], 4, 4.0)
    batch = (ids_of(rng, 3, 6), torch.full((3, 6), 7))
    recipe = lab.Recipe(20, 0.05, 0, weight_decay=0.0)
    told = [loss for _, loss, _ in lab.train(lab.Trainable(model), [batch] * 20, recipe, {})]
    assert told[-1] < 0.97 * told[0], (
        f"in 20 steps towards always the same token the loss went from {told[0]:.2f} to "
        f"{told[-1]:.2f} bits; it should fall"
    )
    after = dict(model.state_dict())
    for name, value in before.items():
        path, _, kind = name.rpartition(".")
        now = after.get(name, after.get(f"{path}.base_layer.{kind}"))
        same(now, value, because=f"{name} changed in training, and is to be frozen")


def test_refuses_names(lab, rng):
    for names, rank, what in [
        (["q_proj", "proj"], 2, "“proj”, which no module is called"),
        (["q_proj", "nothing"], 2, "“nothing”, which no module is called"),
        (["q_proj", "mlp"], 2, "“mlp”, which is no nn.Linear"),
        (["v_proj"], 0, "rank 0"),
    ]:
        model, weights = model_of(lab, rng)
        ids = ids_of(rng)
        raises(lambda m=model, n=names, r=rank: lab.adapt(m, n, r, 4.0), what)
        same(dict(model.state_dict()), weights,
             because=f"adapt refused {what}; the model should be as it was")  # fmt: skip
        found = lab.vjp(model, ids, cotangent=random(rng, 2, 5, 11))
        frozen = [name for name, gradient in found.params.items() if gradient is None]
        assert not frozen, f"adapt refused {what}, and {frozen[0]} is frozen now"
    model, _ = model_of(lab, rng)
    lab.adapt(model, list(QV), 2, 4.0)
    raises(lambda: lab.adapt(model, ["q_proj"], 2, 4.0), "adapting what is adapted already")
    model, _ = model_of(lab, rng)
    lab.adapt(model.get_submodule("model.layers.0"), ["q_proj"], 2, 4.0)
    what = "“q_proj” while the first of those layers is adapted and the others are not"
    raises(lambda: lab.adapt(model, ["q_proj"], 2, 4.0), what)


def test_adapter(lab, rng):
    model, _ = model_of(lab, rng)
    lab.adapt(model, list(QV), 2, 4.0)
    learned = teach(model, rng, 2)
    got = lab.adapter(model)
    assert isinstance(got, dict), f"adapter should return a dict: {describe(got)}"
    want = {PREFIX + name: value for name, value in learned.items()}
    same(got, want, because="the names are peft's; A and B of each adapted layer, and no more")


def test_load_adapter(lab, rng):
    model, weights = model_of(lab, rng)
    lab.adapt(model, list(QV), 2, 3.0)
    ids = ids_of(rng)
    teach(model, rng, 2)
    for turn, merged in enumerate((False, True)):
        other = {
            name: random(rng, *value.shape) for name, value in dict(lab.adapter(model)).items()
        }
        if merged:
            for path in paths(2):
                model.get_submodule(path).merge()
        lab.load_adapter(model, {name: value.clone() for name, value in other.items()})
        same(dict(lab.adapter(model)), other, because="what was loaded should be there now")
        learned = {name.removeprefix(PREFIX): value for name, value in other.items()}
        want = expected(lab, weights, learned, 1.5)(ids)
        because = (
            "another adapter was loaded while the old one was merged, and the old one is still in "
            "the weights" if turn else "the model should compute with the adapter that was loaded"
        )  # fmt: skip
        close(model(ids), want, atol=1e-9, because=because)


def test_refuses_adapters(lab, rng):
    model, _ = model_of(lab, rng)
    lab.adapt(model, list(QV), 2, 4.0)
    teach(model, rng, 2)
    mine = {name: value.clone() for name, value in dict(lab.adapter(model)).items()}
    new = {name: random(rng, *value.shape) for name, value in mine.items()}
    first, last = next(iter(mine)), list(mine)[-1]
    rows = new[first].size(0)
    for what, wrong in {
        "an adapter that lacks a weight": {n: v for n, v in new.items() if n != last},
        "an adapter with a weight too many": {**new, f"{PREFIX}model.norm.weight": new[first]},
        "names without the prefix": {n.removeprefix(PREFIX): v for n, v in new.items()},
        "an adapter of rank 1 for one of rank 2": {
            n: v[:1] if v.size(0) == rows else v[:, :1] for n, v in new.items()
        },
    }.items():
        raises(lambda w=wrong: lab.load_adapter(model, w), what)
        because = f"load_adapter refused {what}; the model's adapter should be as it was"
        same(dict(lab.adapter(model)), mine, because=because)


def test_unload(lab, rng):
    for merged in (False, True):
        model, weights = model_of(lab, rng)
        lab.adapt(model, list(QV), 2, 3.0)
        learned, ids = teach(model, rng, 2), ids_of(rng)
        if merged:
            for path in paths(2):
                model.get_submodule(path).merge()
        lab.unload(model)
        held = dict(model.state_dict())
        because = "after unload the model should have the names that it had before adapt"
        same(sorted(held), sorted(weights), because=because)
        want = expected(lab, weights, learned, 1.5)
        close(held, dict(want.state_dict()), atol=1e-9,
              because="after unload the adapters should be in the weights")  # fmt: skip
        close(model(ids), want(ids), atol=1e-9, because="what it computes should stay the same")
        for path in paths(2):
            plain = model.get_submodule(path)
            x = random(rng, 2, plain.in_features)
            found = lab.vjp(plain, x, cotangent=random(rng, 2, plain.out_features))
            learning = [name for name, gradient in found.params.items() if gradient is not None]
            assert not learning, (
                f"{path}.{learning[0]} has a gradient after unload; its parameters stay frozen"
            )


def test_inputs_untouched(lab, rng):
    known = Known(lab, rng, 5, 3, 2, 4.0, True)
    x = random(rng, 2, 5)
    mine = x.clone()
    known.layer(mine)
    same(mine, x, because="forward changed x in place")
    known.layer.delta()
    close(known.layer.lora_A.weight, known.a, atol=0, because="delta() changed A")
    model, _ = model_of(lab, rng)
    lab.adapt(model, list(QV), 2, 4.0)
    given = {name: random(rng, *v.shape) for name, v in dict(lab.adapter(model)).items()}
    kept = {name: value.clone() for name, value in given.items()}
    lab.load_adapter(model, given)
    same(given, kept, because="load_adapter changed what it was given")
