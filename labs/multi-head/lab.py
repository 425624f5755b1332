"""Multi-head attention: several attentions side by side, each with a slice of the vector.

It projects every word to queries, keys and values, cuts those into heads, lets each head attend
by itself with the attention of the earlier lab, and puts what they found back together. With
`kv_heads` below `heads`, several query heads share one head of keys and values (grouped-query
attention); with one, all of them do (multi-query attention).

Names, shapes and weights are those of a Llama in Hugging Face's transformers, without biases.
No function changes its arguments, and each result has the dtype of its inputs.

Sources: "Attention Is All You Need", Vaswani and others, 2017, section 3.2.2; "GQA: Training
Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", Ainslie and others, 2023.
"""

from __future__ import annotations

from torch import Tensor, nn

from llmpath.labkit.thread import earlier

attention = earlier("attention").attention


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Cut each word's vector into one piece for each head.

    Head 0 gets the first `head_size` numbers of every word, head 1 the next, and so on.

    Args:
        x: (batch, time, heads * head_size).
        heads: how many pieces.

    Returns:
        The pieces, (batch, heads, time, head_size), so that each head has all words.

    Example:
        Two words of four numbers, cut for two heads:

        >>> x = torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8]]])
        >>> split_heads(x, 2)
        tensor([[[[1, 2],
                  [5, 6]],
        <BLANKLINE>
                 [[3, 4],
                  [7, 8]]]])
    """
    ### BEGIN SOLUTION cut the last dimension in two, then bring heads in front of time
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
    ### END SOLUTION


def merge_heads(x: Tensor) -> Tensor:
    """Put the pieces of each word back together: the way back from `split_heads`.

    Args:
        x: (batch, heads, time, head_size).

    Returns:
        The words, (batch, time, heads * head_size).
    """
    ### BEGIN SOLUTION the two steps of split_heads, undone in the opposite order
    return x.transpose(1, 2).flatten(2)
    ### END SOLUTION


def repeat_kv(x: Tensor, groups: int) -> Tensor:
    """Give every query head a head of keys (or values) to look at, by repeating each of them.

    Each head stands `groups` times in a row, so that neighbouring query heads share.

    Args:
        x: keys or values, (batch, kv_heads, time, head_size).
        groups: how many query heads share one head of `x`, 1 or more.

    Returns:
        (batch, kv_heads * groups, time, head_size).

    Example:
        Two heads, one word, head size 1:

        >>> x = torch.tensor([[[[10.0]], [[20.0]]]])
        >>> repeat_kv(x, 2).flatten()
        tensor([10., 10., 20., 20.])
    """
    ### BEGIN SOLUTION each head `groups` times in a row
    return x.repeat_interleave(groups, dim=1)
    ### END SOLUTION


class MultiHeadAttention(nn.Module):
    """Attention with several heads, over the words of `x` itself (self-attention).

    It has four linear layers without a bias: `q_proj`, `k_proj` and `v_proj` make queries, keys
    and values, and `o_proj` mixes what the heads found. The vectors of `q_proj` are cut into
    `heads` heads, those of `k_proj` and `v_proj` into `kv_heads`, all of the same head size.

    Args:
        hidden_size: numbers in a word's vector, a multiple of `heads`.
        heads: how many query heads, a multiple of `kv_heads`.
        kv_heads: how many heads of keys and values; None means one for each query head.

    Attributes:
        head_size: hidden_size / heads.

    Raises:
        ValueError: if the heads do not divide the vector, or the key heads not the query heads.

    Example:
        >>> layer = MultiHeadAttention(hidden_size=8, heads=4, kv_heads=2)
        >>> layer.k_proj
        Linear(in_features=8, out_features=4, bias=False)
        >>> layer(torch.randn(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, hidden_size: int, heads: int, kv_heads: int | None = None) -> None:
        super().__init__()
        kv_heads = heads if kv_heads is None else kv_heads
        if hidden_size % heads:
            raise ValueError(f"{heads} heads do not divide a hidden size of {hidden_size}")
        if heads % kv_heads:
            raise ValueError(f"{kv_heads} heads of keys do not divide {heads} heads of queries")
        self.heads, self.kv_heads = heads, kv_heads
        self.head_size = hidden_size // heads
        ### BEGIN SOLUTION the four layers: nn.Linear(numbers in, numbers out, bias=False)
        kv_size = kv_heads * self.head_size
        self.q_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.k_proj = nn.Linear(hidden_size, kv_size, bias=False)
        self.v_proj = nn.Linear(hidden_size, kv_size, bias=False)
        self.o_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        ### END SOLUTION

    def forward(self, x: Tensor, mask: Tensor | None = None, rotate=None, cache=None) -> Tensor:
        """Let every word look at the others, in each head by itself.

        Args:
            x: the words, (batch, time, hidden_size).
            mask: True where a query may look, of a shape that broadcasts to
                (batch, heads, time, keys); None means that every word sees every other.
            rotate: a function that writes positions into queries and keys, both of
                (batch, any heads, time, head_size), or None; the next lab makes one.
            cache: an object whose `extend(k, v)` keeps these keys and values and returns all
                so far, those of earlier calls first, or None; a later lab writes one.

        Returns:
            For each word what the heads brought home, mixed, (batch, time, hidden_size).
        """
        ### BEGIN SOLUTION q, k and v: project x, then split; k and v have kv_heads heads
        q = split_heads(self.q_proj(x), self.heads)
        k = split_heads(self.k_proj(x), self.kv_heads)
        v = split_heads(self.v_proj(x), self.kv_heads)
        ### END SOLUTION
        if rotate is not None:
            q, k = rotate(q), rotate(k)
        if cache is not None:
            k, v = cache.extend(k, v)
        ### BEGIN SOLUTION share k and v within the groups, attend, merge the heads, mix them
        groups = self.heads // self.kv_heads
        found = attention(q, repeat_kv(k, groups), repeat_kv(v, groups), mask)
        return self.o_proj(merge_heads(found))
        ### END SOLUTION
