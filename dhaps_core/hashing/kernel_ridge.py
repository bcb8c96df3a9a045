"""Ridge regression on Gaussian kernels of unit features, and what it says of rows it was not told of."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["kernel_ridge", "unit_kernel"]

RIDGE = 0.1  # lambda


def unit_kernel(
    x: Float[Tensor, "n d"], centres: Float[Tensor, "k d"], *, bandwidth: float | Tensor
) -> Float[Tensor, "n k"]:
    """exp(-|x - z|^2 / 2 sigma^2) of unit vectors, of which |x - z|^2 is 2 - 2 <x, z>.

    The bandwidth sigma is one number, which may be a tensor.

    Example:
        >>> unit_kernel(torch.eye(2)[:1], torch.eye(2), bandwidth=1.0)
        tensor([[1.0000, 0.3679]])
    """
    scale = torch.as_tensor(bandwidth, dtype=x.dtype, device=x.device) ** -2
    # In one pass and in place: with thousands of centres, memory is what takes the time.
    return torch.addmm(-scale, scale * x, centres.T).exp_()


def kernel_ridge(
    kernel: Float[Tensor, "k k"], values: Float[Tensor, "k c"], fold: Int[Tensor, " k"]
) -> tuple[Float[Tensor, "k c"], Float[Tensor, "k c"]]:
    """Weights of the centres, and the value of each centre by a machine that is not told its fold.

    a = (K + lambda I)^-1 y. Without the rows F the machine misses y_F by (G_FF)^-1 a_F, where G is the
    inverse that is at hand already: no machine is fitted twice.

    Args:
        kernel: K, between all centres.
        values: y.
        fold: of each centre.

    References:
        Rifkin, Lippert: Notes on Regularized Least Squares, MIT 2007, for single rows; blocks alike.
    """
    inverse = torch.cholesky_inverse(
        torch.linalg.cholesky(
            kernel + RIDGE * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
        )
    )
    weights = inverse @ values
    apart = values.clone()
    for number in fold.unique():
        part = (fold == number).nonzero()[:, 0]
        apart[part] -= torch.linalg.solve(inverse[part][:, part], weights[part])
    return weights, apart
