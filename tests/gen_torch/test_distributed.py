"""DistributedDataParallel averages the gradients of a model's `nn.Module`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import torch
from torch import distributed, nn
from gen_distributions import normal
from gen_dml import gen, param

rank, rendezvous = int(sys.argv[1]), sys.argv[2]
torch.manual_seed(0)
net = nn.Linear(1, 1)

@gen
def mean(x):
    return net(x) + param("offset", 0.0)

@gen
def model(x):
    return normal(mean(x) @ "mean", 1.0) @ "y"

model.simulate(torch.zeros(1, 1))  # makes the parameters
module = model.get_torch_nn_module()
xs, ys = torch.linspace(-1, 1, 8).reshape(8, 1), torch.linspace(0, 3, 8).reshape(8, 1)
model.generate({"y": ys}, xs).trace.accumulate_param_gradients(scale_factor=-1 / 2)
expected = {name: p.grad.clone() for name, p in module.named_parameters()}
module.zero_grad()

distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
parallel = nn.parallel.DistributedDataParallel(module)
half = slice(4 * rank, 4 * rank + 4)
(-parallel({"y": ys[half]}, xs[half])).backward()
for name, p in module.named_parameters():
    torch.testing.assert_close(p.grad, expected[name])
distributed.destroy_process_group()
print(sorted(expected))
"""


@pytest.mark.slow
def test_two_processes_average_their_gradients(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    commands = [[sys.executable, str(program), str(rank), str(tmp_path / "rendezvous")] for rank in range(2)]

    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0][0] == "['mean.net.bias', 'mean.net.weight', 'mean.offset']\n"
