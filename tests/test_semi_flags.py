"""Which cells the semi-supervised benchmark's flags ask for."""

import pathlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmarks import list_flags, semi_supervised
from histogan_tf.errors import InputError


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--labels 8 17 all --seeds 3", "--labels=8,17,all --seeds 3"),
        ("-labels 8,17 all", "-labels=8,17,all"),
        ("--labels=8, 17, all", "--labels=8,17,all"),
        ("--methods a b --labels 8", "--methods=a,b --labels=8"),
        # All else stays as it is, errors too.
        ("--seeds 3 4", "--seeds 3 4"),
        ("8 --labels", "8 --labels"),
        ("--labels 8 -- 17", "--labels=8 -- 17"),
        ("--table_only 8", "--table_only 8"),
    ],
)
def test_bare_words_join_their_list(words, wanted):
    found = list_flags.joined(["p", *words.split()], ("labels", "methods"))
    assert found == ["p", *wanted.split()]


@pytest.mark.parametrize(
    ("program", "words", "wanted"),
    [
        ("semi_supervised", "--labels 8 x", "--labels 'x': 1, 2, ... or all"),
        ("semi_supervised", "--seeds 3 4", "unknown argument '4'"),
        ("ablation", "--parts no_painting no_gan", "--parts 'no_gan'; allowed"),
    ],
)
def test_programs_read_lists_with_spaces(program, words, wanted, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", f"benchmarks.{program}"),
            *("--data", str(tmp_path), "--results", str(tmp_path / "none")),
            *words.split(),
        ],
        cwd=pathlib.Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert wanted in done.stderr.splitlines()[-1]


def cells(data, protocol, **given):
    values = {"labels": None, "seeds": None, "methods": ["cps"]} | given
    asked = SimpleNamespace(protocol=protocol, **values)
    found = semi_supervised.wanted(asked, data)
    return [(c.labels, c.seed) for c in found]


def test_defaults_of_the_protocols(real_data):
    glas, tiles = real_data / "glas", real_data / "gleason"
    assert cells(glas, "native") == [
        (n, seed) for seed in range(3) for n in (8, 17, None)
    ]
    assert cells(glas, "xnet128") == [(17, 0), (17, 1), (17, 2)]
    assert cells(tiles, "gleason") == [(2, seed) for seed in range(8)]
    one = cells(glas, "native", labels=["72", "all"], seeds=1)
    assert one == [(72, 0), (None, 0)]


@pytest.mark.parametrize(
    ("folder", "protocol", "given", "wanted"),
    [
        ("glas", "native", {"labels": ["8", "73"]}, "73: native has 73 .* 72"),
        ("glas", "xnet128", {"labels": ["85"]}, "85: xnet128 has 85 .* 84 or"),
        ("gleason", "gleason", {"labels": ["8"]}, "8: gleason has 7 .* 1 to 6"),
        ("gleason", "gleason", {"seeds": 9}, "--seeds 9: gleason has 1 to 8"),
    ],
)
def test_impossible_cells_are_told(real_data, folder, protocol, given, wanted):
    with pytest.raises(InputError, match=wanted):
        cells(real_data / folder, protocol, **given)
