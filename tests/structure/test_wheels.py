"""Install only what you need: each built wheel works with its declared dependencies and nothing else.

Downloading torch once per package would take minutes. So each clean environment is given links to the
distributions that the wheel's own metadata asks for, taken from the environment of this test, and pip then
installs our wheels there without an index: it refuses when a declared dependency is missing, and what is not
declared cannot be imported.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.name for path in (ROOT / "packages").iterdir())
LOWER = {"gen_core", "gen_distributions"}
OURS = LOWER | {"gen_combinators", "gen_dml", "gen_inflib", "gen_sml", "gen_torch"}
TEST_TOOLS = {"hypothesis", "matplotlib", "mypy", "pytest", "scipy", "sybil"}

PROGRAMS = {
    "gen-core": """
from gen_core import choicemap
assert choicemap({"x": 1.0})["x"] == 1.0
""",
    "gen-distributions": """
import math
from gen_distributions import normal
assert math.isfinite(normal.simulate(0.0, 1.0).score)
""",
    "gen-dml": """
from gen_distributions import bernoulli, normal
from gen_dml import gen
@gen
def model():
    x = normal(0.0, 1.0) @ "x"
    bernoulli(0.5) @ "coin"
    return x
trace = model.simulate()
assert trace["x"] == trace.retval and "coin" in trace
assert model.generate({"x": 1.0}).trace["x"] == 1.0
""",
    "gen-combinators": """
from gen_combinators import Map, Recurse, Unfold, deterministic, shared
from gen_core import plugins
from gen_distributions import normal
assert plugins.combinator("recurse") is Recurse and not plugins.broken
trace = Map(normal).simulate([0.0, 1.0], shared(1.0))
assert trace.update({1: 2.5}).trace[1] == 2.5
halves = deterministic(lambda n: (n, [n // 2, n - n // 2] if n > 1 else []))
assert Recurse(halves, deterministic(lambda n, parts: sum(parts) or n), 2).simulate(5).retval == 5
""",
    "gen-sml": """
import linecache
from gen_distributions import normal
from gen_sml import static
source = "def model(x):\\n    slope = normal(0.0, 1.0) @ 'slope'\\n    return normal(slope * x, 1.0) @ 'y'\\n"
linecache.cache["model.py"] = len(source), None, source.splitlines(True), "model.py"
exec(compile(source, "model.py", "exec"))
trace = static(model).simulate(2.0)
assert trace.update({"slope": 1.0}).trace["slope"] == 1.0
""",
    "gen-torch": """
import torch
from gen_core import plugins
from gen_distributions import normal
assert plugins.runtimes and not plugins.broken
assert list(normal.get_torch_nn_module().parameters()) == []
""",
    "gen-inflib": """
from gen_distributions import normal
from gen_inflib import importance_sampling
importance_sampling(normal(0.0, 1.0), {(): 1.0}, num_particles=10)
""",
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for package in PACKAGES:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=ROOT / "packages" / package, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_works_with_only_what_it_declares(package: str, wheels: Path, tmp_path: Path) -> None:
    distributions = dependencies(package, wheels)
    python = clean_environment(tmp_path / "env", distributions - set(PACKAGES))
    install(package, wheels, python)
    own = package.replace("-", "_")
    lower = set[str]() if own == "gen_core" else LOWER

    result = run(python, PROGRAMS[package] + importable((OURS | TEST_TOOLS) - lower - {own}))

    assert result == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_ships_its_types_and_its_licence(package: str, wheels: Path) -> None:
    files = ZipFile(wheel(package, wheels)).namelist()

    assert f"{package.replace('-', '_')}/py.typed" in files
    assert any(name.endswith("licenses/LICENSE") for name in files)


def dependencies(package: str, wheels: Path) -> set[str]:
    """Return the names of `package` and of everything it declares, directly or not, without extras."""
    found = set[str]()
    waiting = [package]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(required_by(name, wheels))
    return found


def required_by(name: str, wheels: Path) -> Iterator[str]:
    # For our own packages the built wheel speaks, not the editable install that the tests run in.
    declared = wheel_requirements(name, wheels) if name in PACKAGES else metadata.requires(name) or []
    for requirement in map(Requirement, declared):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def wheel_requirements(name: str, wheels: Path) -> list[str]:
    with ZipFile(wheel(name, wheels)) as archive:
        (path,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(path).decode()).get_all("Requires-Dist", [])


def wheel(name: str, wheels: Path) -> Path:
    (path,) = wheels.glob(f"{name.replace('-', '_')}-*.whl")
    return path


def clean_environment(folder: Path, distributions: set[str]) -> Path:
    """Make a virtual environment that holds exactly `distributions`, and return its interpreter."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    for name in distributions:
        link(metadata.distribution(name), site_packages)
    return folder / "bin" / "python"


def link(distribution: metadata.Distribution, site_packages: Path) -> None:
    # Whole top-level entries, as torch alone has ten thousand files. Scripts ("..") are not needed.
    for entry in {path.parts[0] for path in distribution.files or []} - {"..", "__pycache__"}:
        target = site_packages / entry
        if not target.exists():
            target.symlink_to(Path(str(distribution.locate_file(entry))))


def install(package: str, wheels: Path, python: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--isolated", "install", "--quiet"]
    offline = ["--no-index", "--find-links", str(wheels)]
    subprocess.run([*pip, *offline, package], check=True)


def importable(names: set[str]) -> str:
    found = f"[name for name in {sorted(names)} if find_spec(name)]"
    return f"\nfrom importlib.util import find_spec\nprint({found})\n"


def run(python: Path, program: str) -> str:
    # -I: neither PYTHONPATH nor the working directory may lend it a package.
    done = subprocess.run([str(python), "-I", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
