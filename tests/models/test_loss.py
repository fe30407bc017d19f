"""The loss over a large vocabulary is that of torch, value and gradient."""

import pytest
import torch

from models.loss import ROWS, cross_entropy


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 4e-3)])
def test_loss_and_gradient_are_torchs(dtype, tolerance):
    torch.manual_seed(0)
    hidden = torch.randn(ROWS + 5, 16)
    head = torch.randn(16, 300)
    targets, weights = torch.randint(0, 300, (len(hidden),)), torch.rand(len(hidden))
    results = []
    for loss in (cross_entropy, lambda logits, t: torch.nn.functional.cross_entropy(logits.float(), t, reduction="none")):
        given = hidden.clone().requires_grad_()
        losses = loss((given @ head).to(dtype), targets)
        (losses * weights).sum().backward()
        results.append((losses.detach(), given.grad))
    (ours, our_gradient), (reference, gradient) = results
    assert ours.dtype == torch.float32 and torch.allclose(ours, reference, atol=1e-5)
    assert (our_gradient - gradient).abs().max() <= tolerance * gradient.abs().max()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 6e-3)])
def test_a_share_of_the_loss_is_divergence_from_the_teacher(dtype, tolerance):
    """Some tokens have no teacher, and stand between those that have one."""
    torch.manual_seed(0)
    logits, wanted = torch.randn(ROWS + 5, 30), torch.randn(ROWS + 5, 30)
    targets, shares = torch.randint(0, 30, (len(logits),)), torch.rand(len(logits)) * (torch.rand(len(logits)) > 0.4)
    results = []
    for ours in (True, False):
        given = logits.clone().requires_grad_()
        if ours:
            losses = cross_entropy((given * 2).to(dtype), targets, (wanted * 2).to(dtype)[shares > 0], shares=shares)
        else:
            known, soft = ((z * 2).to(dtype).float().log_softmax(-1) for z in (given, wanted))
            apart = torch.nn.functional.kl_div(known, soft, reduction="none", log_target=True).sum(-1)
            losses = (1 - shares) * torch.nn.functional.nll_loss(known, targets, reduction="none") + shares * apart
        losses.sum().backward()
        results.append((losses.detach(), given.grad))
    (ours, our_gradient), (reference, gradient) = results
    assert torch.allclose(ours, reference, atol=1e-5)
    assert (our_gradient - gradient).abs().max() <= tolerance * gradient.abs().max()


def test_the_gradient_of_a_token_that_is_nearly_certain_is_not_rounded_away():
    logits = torch.tensor([[9.0, 0.0, 1.0]], dtype=torch.bfloat16)
    given = logits.clone().requires_grad_()
    cross_entropy(given * 1, torch.tensor([0])).sum().backward()
    expected = logits.float().softmax(-1) - torch.tensor([1.0, 0.0, 0.0])
    assert torch.allclose(given.grad.float(), expected, rtol=0.01, atol=0)


def test_a_second_backward_pass_is_refused():
    logits = torch.randn(3, 7, requires_grad=True)
    losses = cross_entropy(logits * 2, torch.tensor([0, 1, 2]))
    losses.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        losses.sum().backward()
