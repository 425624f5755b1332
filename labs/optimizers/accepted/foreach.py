"""The same with torch's operations on lists of tensors, which are quicker for many of them."""

import math

import torch


def adamw_step(params, grads, state, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    with torch.no_grad():
        if "step" not in state:
            state.update(step=0, m=[p * 0 for p in params], v=[p * 0 for p in params])
        state["step"] = t = state["step"] + 1
        m, v = state["m"], state["v"]
        torch._foreach_lerp_(m, grads, 1 - betas[0])
        torch._foreach_mul_(v, betas[1])
        torch._foreach_addcmul_(v, grads, grads, 1 - betas[1])
        root = torch._foreach_sqrt(v)
        torch._foreach_div_(root, math.sqrt(1 - betas[1] ** t))
        torch._foreach_add_(root, eps)
        torch._foreach_mul_(params, 1 - lr * weight_decay)
        torch._foreach_addcdiv_(params, m, root, -lr / (1 - betas[0] ** t))


def clip_grad(grads, max_norm):
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads]))
    factor = min(1.0, max_norm / max(norm.item(), 1e-30))
    for g in grads:
        g *= factor
    return norm.item()


def lr_at(step, total, peak, warmup, final=0.0):
    if warmup and step < warmup:
        return (step + 1) / warmup * peak
    done = min(1.0, (step - warmup) / (total - warmup))
    return final + (peak - final) * math.cos(math.pi * done / 2) ** 2
