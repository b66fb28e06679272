"""The rivals of TED in Zhu et al. (WSDM 2024): the graph of item transitions as a penalty or as a filter.

GraReg adds ``sum_ij w_ij * ||e_i - e_j||^2`` over the edges from an item to what mostly follows it. GES
replaces the embeddings E by ``(D^-1/2 (A + I) D^-1/2)^l E``. Both are products with a symmetric sparse matrix.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor, nn

from .protocols import Context


class _Product(torch.autograd.Function):
    """M x for a symmetric M, whose gradient is the same product."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, first: Tensor, columns: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(first, columns, values)
        # torch's sparse products are slower on a CPU, and its CSR tensors still warn that they are in beta.
        return F.embedding_bag(columns, x, first, mode="sum", per_sample_weights=values.to(x.dtype))

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _Product.apply(grad.contiguous(), *ctx.saved_tensors), None, None, None


class SymmetricMatrix(nn.Module):
    """Multiplies by a sparse symmetric matrix M, which no checkpoint holds.

    Args:
        matrix: [N, N], equal to its transpose.
    """

    first: Tensor
    columns: Tensor
    values: Tensor

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        super().__init__()
        self.register_buffer("first", torch.from_numpy(matrix.indptr[:-1].astype(np.int64)), persistent=False)
        self.register_buffer("columns", torch.from_numpy(matrix.indices.astype(np.int64)), persistent=False)
        self.register_buffer("values", torch.from_numpy(matrix.data).float(), persistent=False)

    def __len__(self) -> int:
        return len(self.first)

    def forward(self, x: Tensor) -> Tensor:
        """[N, D] to [N, D]: M x."""
        return _Product.apply(x, self.first, self.columns, self.values)


# GraReg.


def follower_edges(counts: sparse.csr_matrix, neighbours: int) -> sparse.csr_matrix:
    """Edges from each item to its most frequent followers; ties go by item id.

    An item that follows itself gets no edge to itself, as that distance is 0.

    Args:
        counts: [N, N] transition counts.
        neighbours: the most followers to keep of an item, >= 1.

    Returns:
        [N, N] the weight of each kept follower, its part of their counts; a row sums to 1, or to 0 without followers.
    """
    edges = counts.tocoo()
    kept = (edges.row != edges.col) & (edges.data > 0)
    row, column, count = edges.row[kept], edges.col[kept], edges.data[kept]
    order = np.lexsort((column, -count, row))
    row, column, count = row[order], column[order], count[order]
    begin = np.searchsorted(row, np.arange(counts.shape[0]))  # of each row
    kept = np.arange(len(row)) - begin[row] < neighbours
    row, column, count = row[kept], column[kept], count[kept]
    total = np.bincount(row, count, counts.shape[0])
    return sparse.csr_matrix((count / total[row], (row, column)), shape=counts.shape)


def laplacian(edges: sparse.csr_matrix) -> sparse.csr_matrix:
    """L = diag(S 1) - S with S = W + W^T, for directed edges W [N, N].

    Then ``tr(E^T L E) = sum_i S_i. ||e_i||^2 - sum_ij S_ij e_i . e_j = sum_ij w_ij ||e_i - e_j||^2``.
    """
    both = edges + edges.T
    return (sparse.diags(np.asarray(both.sum(1)).ravel()) - both).tocsr()


def graph_regularisation(items: Tensor, laplacian: SymmetricMatrix) -> Tensor:
    """``sum_ij w_ij * ||e_i - e_j||^2`` over all edges; one sparse product gives it and its gradient, 2 L E.

    Args:
        items: [N, D] embeddings.
        laplacian: [N, N] of the edges, see :func:`laplacian`.
    """
    half = (items * laplacian(items.detach())).sum()  # the value, with half the gradient
    return 2 * half - half.detach()


# GES.


def smoothing_matrix(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """D^-1/2 (A + I) D^-1/2 with A = a + a^T, the symmetrised counts, and D the row sums of A + I.

    Args:
        counts: [N, N] transition counts a; an item without transitions keeps its embedding.
    """
    graph = counts + counts.T + sparse.identity(counts.shape[0])
    scale = sparse.diags(np.asarray(graph.sum(1)).ravel() ** -0.5)
    return (scale @ graph @ scale).tocsr()


class Smoothing(nn.Module):
    """Embeddings smoothed over the graph: M^l E.

    Args:
        matrix: [N, N] M, see :func:`smoothing_matrix`.
        n_layers: l, >= 0.
    """

    def __init__(self, matrix: sparse.csr_matrix, n_layers: int) -> None:
        super().__init__()
        self.matrix = SymmetricMatrix(matrix)
        self.n_layers = n_layers

    def forward(self, embeddings: Tensor) -> Tensor:
        """[N + n, D] to [N + n, D]; rows beyond the graph, such as a mask token's, stay as they are."""
        items, others = embeddings.split([len(self.matrix), len(embeddings) - len(self.matrix)])
        for _ in range(self.n_layers):
            items = self.matrix(items)
        return torch.cat([items, others]) if len(others) else items
