"""The command line of bench.contention."""

from pathlib import Path

import pytest

from bench.options import SCENARIOS, parse


def test_the_defaults_are_everything() -> None:
    options = parse([])
    assert options.scenarios == ("processes", "threads", "tasks", "busy-runtime", "durability")
    assert options.writers == (1, 2, 4, 8, 16)
    assert options.drivers is None
    assert options.repeat == 1
    assert options.json is options.plot is None


def test_scenarios_may_be_several_words_or_one_list_and_keep_their_order() -> None:
    assert parse(["--scenario", "tasks", "processes"]).scenarios == ("processes", "tasks")
    assert parse(["--scenario", "tasks,processes"]).scenarios == ("processes", "tasks")


def test_drivers_and_writers_are_lists() -> None:
    options = parse(["--drivers", "lash,sqlite3", "--writers", "16,2,2"])
    assert options.drivers == ("sqlite3", "lash")
    assert options.writers == (2, 16)


def test_quick_is_smaller_but_yields_to_what_is_said() -> None:
    quick = parse(["--quick"])
    assert quick.scenarios == SCENARIOS
    assert quick.seconds < parse([]).seconds
    assert len(quick.writers) < 5
    assert parse(["--quick", "--writers", "3", "--seconds", "2.5"]).writers == (3,)
    assert parse(["--quick", "--seconds", "2.5"]).seconds == 2.5


def test_files_are_paths() -> None:
    options = parse(["--json", "rows.json", "--plot", "rows.svg"])
    assert (options.json, options.plot) == (Path("rows.json"), Path("rows.svg"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--scenario", "tea"], "'tea' is none of"),
        (["--drivers", "sqlite3,oracle"], "'oracle' is none of"),
        (["--writers", "1,0"], "not a whole number above 0"),
        (["--writers", "many"], "not a whole number above 0"),
        (["--seconds", "0"], "more than 0"),
        (["--seconds", "nan"], "more than 0"),
        (["--seconds", "soon"], "not a number of seconds"),
        (["--repeat", "0"], "not a whole number above 0"),
        (["--plot", "rows.pdf"], "neither in .svg nor in .png"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
