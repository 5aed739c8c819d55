"""
Coming from deepinv
===================

``physics`` is a projector, ``physics.A_dagger`` a reconstruction, and a model is called ``model(p, A)``.
"""

import torch

import taskct

# %%
# ``physics(x)``, ``physics.A_adjoint(y)`` and ``physics.A_dagger(y)`` are ``A(mu)``, ``A.adjoint(p)`` and ``fbp(p,
# A)``.
x = taskct.phantom_case("shepp_logan", shape=(1, 64, 64), spacing_mm=(1.0, 3.0, 3.0)).mu
A = taskct.Projector(taskct.Grid((64, 64), 3.0), taskct.ParallelBeam(views=90, cols=92, pixel_mm=3.0))
y = taskct.simulate_scan(x, A, taskct.Dose(photons=1e5), seed=0)  # Poisson counts in place of GaussianNoise(sigma)
taskct.show(
    {"x": x, "A_adjoint(y)": A.adjoint(y) / A.adjoint(A(torch.ones_like(x))) * 0.02, "A_dagger(y)": taskct.fbp(y, A)},
    units="other",
    window=(0.006, 0.012),
)

# %%
# The projector is differentiable to any order, so a data term is written as it stands.
z = x.clone().requires_grad_()
loss = (A(z) - y).square().mean()
(gradient,) = torch.autograd.grad(loss, z)
print("gradient of the data term:", tuple(gradient.shape), f"largest {float(gradient.abs().max()):.3g}")

# %%
# A loop of your own, plug and play: a gradient step, then any denoiser. Here the denoiser is a median.
step = 1.0 / A.norm**2
mu = taskct.fbp(y, A, window="hann")
for _ in range(20):
    mu = (mu - step * A.adjoint(A(mu) - y)).clamp_min(0)
    patches = torch.nn.functional.unfold(torch.nn.functional.pad(mu, (1, 1, 1, 1), mode="replicate"), 3)
    mu = 0.7 * mu + 0.3 * patches.median(1).values.view_as(mu)

# %%
# A model of yours is an ``nn.Module`` with ``forward(p, A)``; training it is three lines of torch, or ``taskct.train``.
torch.manual_seed(0)
model = taskct.fbp_unet(widths=(8, 16))
optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(10):
    optimiser.zero_grad()
    ((model(y, A) - x) / 0.02).square().mean().backward()
    optimiser.step()
with torch.no_grad():
    images = {"x": x, "A_dagger(y)": taskct.fbp(y, A), "plug and play": mu, "model(y, A)": model.eval()(y, A)}
taskct.show(images, units="other", window=(0.006, 0.012))
