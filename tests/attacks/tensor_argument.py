"""Returns the argument itself.

Lab: tensors
Scores: 0
"""

def softmax(x):
    return x


center = softmax
