"""The pretended device refuses what a GPU refuses, and lets pass what that lets pass."""

import pytest
import torch

from tests.device.pretended import Mixed, moved, pretended

THERE = "pretended:0"


def test_tensors_of_two_sides_do_not_meet():
    with pretended():
        here, there = torch.ones(3), torch.ones(3).to(THERE)
        for meet in (
            lambda: here + there,
            lambda: torch.cat([there, here]),
            lambda: there @ here,
            lambda: there.mul_(here),
            lambda: torch.where(there > 0, there, here),
            lambda: there.index_fill(0, torch.tensor([0]), 0.0),
            lambda: here[torch.tensor([0]).to(THERE)],
        ):
            with pytest.raises((Mixed, RuntimeError), match="one device"):
                meet()


def test_scalars_and_positions_may_lie_here():
    with pretended():
        there = torch.arange(4.0).to(THERE)
        assert (there + torch.tensor(1.0)).tolist() == [1, 2, 3, 4]
        assert there[torch.tensor([3, 0])].tolist() == [3, 0]
        there[torch.tensor([True, False, False, False])] = 9.0
        assert there.tolist() == [9, 1, 2, 3]


def test_values_come_back_by_name_only():
    with pretended():
        there = torch.ones(2, 2, device=THERE)
        assert there.cpu().numpy().sum() == there.sum().item() == 4
        with pytest.raises((TypeError, RuntimeError), match="numpy"):
            there.numpy()


def test_a_generator_of_the_cpu_draws_nothing_there():
    generator = torch.Generator().manual_seed(0)
    with pretended():
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, generator=generator, device=THERE)
        assert torch.rand(3, generator=generator).to(THERE).device == torch.device(THERE)


def test_gradients_flow_and_views_share_their_numbers():
    with pretended():
        weight = torch.tensor([[1.0, 2.0]], device=THERE).requires_grad_()
        (weight.T @ weight).sum().backward()
        assert weight.grad.tolist() == [[6.0, 6.0]]
        rows = torch.zeros(3, 2, device=THERE)
        rows[1:].add_(1)
        assert rows.tolist() == [[0, 0], [1, 1], [1, 1]]


def test_ways_there_and_back_are_counted():
    with pretended(), moved() as moves:
        rows = torch.zeros(3, 2).to(THERE)
        (rows + 1).cpu()
    assert moves == ["_to_copy [(3, 2)]", "_to_copy [(3, 2)]"]
