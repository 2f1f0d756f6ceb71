from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import tvsl
from tests.cli.running import run, run_alone
from tvsl.cli import main as cli_main
from tvsl.cli.doctor import _PACKAGES

MODULE = (sys.executable, "-m", "tvsl")


@pytest.mark.parametrize("program", [(), MODULE], ids=["tvsl", "python -m tvsl"])
def test_version(program: tuple[str, ...]) -> None:
    ran = run_alone("--version", program=program)
    assert (ran.code, ran.out, ran.err) == (0, f"tvsl {tvsl.__version__}\n", "")


def test_help_is_quick() -> None:
    runs = [run_alone("--help") for _ in range(5)]
    assert min(ran.seconds for ran in runs) < 0.5
    ran = runs[0]
    assert ran.code == 0
    for command in ("demo", "localize", "weights", "doctor"):
        assert command in ran.out


def test_no_cycles_are_searched_for_at_the_end() -> None:
    program = """if True:
        import atexit, gc
        from tvsl.cli.main import main
        atexit.register(lambda: print(gc.get_freeze_count() > 1000))
        main()
    """
    ran = run_alone("--version", program=(sys.executable, "-c", program))
    assert ran.out.splitlines()[-1] == "True"


@pytest.mark.parametrize(
    ("given", "count"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(
    given: dict[str, str], count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    program = """if True:
        import atexit, os
        from tvsl.cli.main import main
        atexit.register(lambda: print(os.environ.get("GOMP_SPINCOUNT")))
        main()
    """
    ran = run_alone("--version", program=(sys.executable, "-c", program))
    assert ran.out.splitlines()[-1] == count


@pytest.mark.parametrize(
    "command",
    [(), ("localize",), ("weights",), ("doctor",), *(("weights", x) for x in ("list", "fetch"))],
)
def test_help_goes_to_stdout(command: tuple[str, ...]) -> None:
    ran = run(*command, "--help")
    assert ran.code == 0
    assert "Usage:" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize(
    "option", ["--audio", "--labels", "--at", "--every", "--force", "--json", "--head"]
)
def test_help_of_localize_names_the_options(option: str) -> None:
    assert option in run("localize", "--help").out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("--nonsense",),
        ("localize",),
        ("localize", "clip.mp4"),
        ("localize", "-o", "out"),
        ("weights",),
        ("weights", "nonsense"),
        ("weights", "convert", "one"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert "Usage:" in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_wrong_usage_exits_with_2_for_real() -> None:
    ran = run_alone("localize", "clip.mp4", "-o", "x", "--at", "1", "--every", "2")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert "--at" in ran.err
    assert "--every" in ran.err


def test_doctor_names_every_package_that_is_needed() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    (needed,) = re.findall(r"(?ms)^dependencies = \[(.*?)^\]", project.read_text())
    names = re.findall(r'"([\w-]+)', needed)
    assert len(names) > 10
    assert set(_PACKAGES) == set(names)


def test_doctor_names_versions_and_places(home: Path) -> None:
    ran = run("doctor")
    assert ran.code == 0
    assert ran.err == ""
    for name in ("tvsl", "python", "torch", "av", "ffmpeg", "cpu", "cuda"):
        assert re.search(rf"^{name}\S*\s+\S", ran.out, re.MULTILINE), name
    assert tvsl.__version__ in ran.out
    assert str(home) in ran.out
    assert not home.exists()  # a look changes nothing


def test_ctrl_c_while_the_commands_are_built_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_main, "app", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli_main.main()
    assert ended.value.code == 130


@pytest.mark.parametrize("group", [(), ("data",), ("synthetic",), ("weights",)])
def test_what_a_command_does_fits_its_line(
    group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = run(*group, "--help").out.partition("Commands:\n")[2].splitlines()
    assert listed
    assert not [line for line in listed if line.endswith("...")]
