from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib import resources
from pathlib import Path

import pytest

import tvsl

SOURCE = Path(tvsl.__file__).resolve().parent
FILES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN = {"torchvision", "torchaudio", "torchcodec"}
LONGEST_FILE = 680
PAGE_PARTS = [
    f"html/templates/{name}"
    for name in (
        "base.html",
        "macros.html",
        "demo.html",
        "evaluation.html",
        "evaluation.css",
        "localization.html",
        "localization.css",
        "localization.js",
        "page.css",
        "page.js",
        "reproduction.html",
        "reproduction.css",
        "serve.html",
        "serve.css",
        "serve.js",
    )
]

# A module imports only from its own layer and from those above (CONTRIBUTING, house rules).
LAYERS = [
    {
        "errors",
        "vocabularies",
        "tokens",
        "encoder",
        "contrastive",
        "global_batch",
        "models",
        "registry",
        "scenes",
        "utils",
    },
    {"media", "audioclip", "everyday", "encoder_folders", "metrics", "synthetic"},
    {"methods", "data", "preprocess", "boxes"},
    {"render"},
    {
        "detecting",
        "encoded",
        "clip_encoder",
        "localization_format",
        "localization",
        "segments",
        "loading",
        "localizer",
        "export",
    },
    {"evaluation"},
    {"training"},
    {"reproduce", "demo"},
    {"html"},
    {"api"},
    {"cli", "serve"},
]


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(["tvsl", *(part for part in parts if part != "__init__")])


MODULES = {module_name(path): path for path in FILES}


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports_of(path: Path) -> set[str]:
    """Names of this package's modules that a file imports, also inside functions."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if is_for_type_checkers(node):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides the layer"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return {name for name in found if name in MODULES}


def layer_of(module: str) -> int:
    part = module.split(".")[1]
    layers = [number for number, names in enumerate(LAYERS) if part in names]
    assert len(layers) == 1, f"{part} has no place in the layers of the design"
    return layers[0]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_forbidden_distribution_is_installed() -> None:
    installed = {normalised(found.name) for found in importlib.metadata.distributions()}
    assert "torch" in installed  # the list is a real one
    assert not installed & FORBIDDEN


def test_no_forbidden_distribution_is_required() -> None:
    required = {
        normalised(re.split(r"[^\w.-]", line)[0]) for line in importlib.metadata.requires("tvsl")
    }
    assert "torch" in required
    assert not required & FORBIDDEN


def test_no_forbidden_package_is_imported() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            assert not {name.split(".")[0] for name in names} & FORBIDDEN, path


def test_the_core_requires_no_library_of_an_extra() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    text = (SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]

    def names(lines: list[str]) -> set[str]:
        return {normalised(re.split(r"[^\w.-]", line)[0]) for line in lines}

    extras = project["optional-dependencies"]
    assert {"hub", "pandas", "plot", "supervision"} <= set(extras)
    for lines in extras.values():
        assert not names(lines) & names(project["dependencies"])


def test_only_lower_bounds_are_required() -> None:
    for line in importlib.metadata.requires("tvsl") or []:
        requirement = line.split(";")[0]
        assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?\s*>=\s*[\w.]+\s*", requirement), line


def test_versions_agree() -> None:
    assert importlib.metadata.version("tvsl") == tvsl.__version__


def test_importing_the_package_costs_nothing() -> None:
    heavy = ("torch", "av", "PIL", "numpy", "scipy", "pydantic", "tokenizers", "typer", "rich")
    done = python(
        f"import sys, tvsl; tvsl.__version__; print([n for n in {heavy} if n in sys.modules])"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_the_command_s_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "av", "PIL", "numpy", "scipy", "pydantic", "tokenizers")
    done = python(
        f"import sys, tvsl.cli.main; print([name for name in {heavy} if name in sys.modules])"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_every_module_imports_in_silence() -> None:
    names = [name for name in MODULES if not name.endswith("__main__")]
    done = subprocess.run(
        [sys.executable, "-c", f"import importlib\nfor n in {names}: importlib.import_module(n)"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""


@pytest.mark.parametrize("name", tvsl.__all__)
def test_public_names_resolve(name: str) -> None:
    assert getattr(tvsl, name) is not None


@pytest.mark.parametrize(
    "package",
    [
        "tvsl.audioclip",
        "tvsl.cli",
        "tvsl.data",
        "tvsl.demo",
        "tvsl.evaluation",
        "tvsl.html",
        "tvsl.media",
        "tvsl.methods",
        "tvsl.methods.tvsl",
        "tvsl.metrics",
        "tvsl.preprocess",
        "tvsl.render",
        "tvsl.reproduce",
        "tvsl.serve",
        "tvsl.synthetic",
        "tvsl.training",
    ],
)
def test_public_names_of_packages_resolve(package: str) -> None:
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__)) > 0
    for name in module.__all__:
        assert getattr(module, name) is not None
        if hasattr(module, "__getattr__"):  # an import of the submodule would take its place
            assert f"{package}.{name}" not in MODULES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Loklizer'"):
        tvsl.Loklizer  # noqa: B018


def test_what_is_listed_is_public_and_nothing_else() -> None:
    functions = {"compare", "evaluate", "list_datasets", "list_methods", "list_models", "load"}
    functions |= {"score", "train"}
    modules = {"data", "methods", "metrics", "render"}
    assert set(dir(tvsl)) == {"Localizer", "register", "__version__", *functions, *modules}
    assert set(tvsl.__all__) == set(dir(tvsl))
    from tvsl import Localization, SoundSource, TvslError

    assert issubclass(TvslError, Exception)
    assert {Localization.__name__, SoundSource.__name__} == {"Localization", "SoundSource"}


def test_modules_import_only_what_stands_above_them() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if "." in module and module != "tvsl.__main__"
        for name in imports_of(path)
        if name != "tvsl" and layer_of(name) > layer_of(module)
    ]
    assert not wrong


def test_contributing_names_the_layers() -> None:
    text = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = re.search(r"those before it: (.+?)\.\s+A test", text, re.DOTALL)
    assert listed is not None
    assert [set(re.split(r",\s+", layer)) for layer in re.split(r"\s+\|\s+", listed[1])] == LAYERS


def test_imports_run_in_no_circle() -> None:
    graph = {name: imports_of(path) - {"tvsl", name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


def test_a_class_name_means_one_thing() -> None:
    homes: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(name)
    assert "Localizer" in homes
    assert not {name: modules for name, modules in homes.items() if len(modules) > 1}


def test_files_stay_readable() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not [str(path) for path, length in lengths.items() if length > LONGEST_FILE]


@pytest.mark.parametrize("name", ["py.typed", "everyday_sounds.txt", *PAGE_PARTS])
def test_the_package_carries_its_files(name: str) -> None:
    assert resources.files("tvsl").joinpath(name).is_file()


@pytest.mark.parametrize(
    "line", ["--help", "localize --help", "models", "weights list", "weights verify x", "--version"]
)
def test_commands_that_compute_nothing_import_no_torch(line: str) -> None:
    code = f"""
import sys
sys.argv = ['tvsl', *{line!r}.split()]
from tvsl.cli.main import main
try:
    main()
except SystemExit:
    pass
heavy = ('torch', 'scipy', 'av', 'torchmetrics', 'lightning')
print('HEAVY', [name for name in heavy if name in sys.modules])
"""
    assert python(code).stdout.splitlines()[-1] == "HEAVY []"


def test_localizing_imports_no_metrics_and_no_training() -> None:
    code = """
import sys, tvsl.cli.localized_files, tvsl.everyday.encoder
heavy = ('scipy', 'torchmetrics', 'lightning', 'requests', 'pandas', 'torch._dynamo')
print([name for name in heavy if name in sys.modules])
"""
    assert python(code).stdout.strip() == "[]"
