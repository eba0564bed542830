"""Infra validation with servers in processes of their own.

One real server is started; the others are small commands that fail.
"""

import dataclasses
import os
import pathlib
import sys

import numpy as np
import pytest
import serving_exports
import serving_fake
import tensorflow as tf
from serving_fake import Fake, answer

from serving import infra_requests, infra_validate
from serving.client_api import ServingClient
from serving.client_channel import ChannelSettings, RequestError
from serving.infra_requests import AnswerError
from serving.infra_validate import InfraSettings


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Doubles numbers and strings; two warm-up records."""
    return serving_exports.constant(tmp_path_factory.mktemp("base") / "7", 1)


def test_a_real_server_answers_as_this_process(export):
    settings = InfraSettings(tries=1, loading_seconds=300, poll_seconds=0.2)
    found = infra_validate.validate(export, settings)
    assert found.blessed, found
    assert found.facts["requests"] == 2 and found.facts["tries"] == 1


def command(script):
    """A server that runs `script` in Python; it gets the flags."""
    return (sys.executable, "-c", script)


QUICK = InfraSettings(tries=2, loading_seconds=20, poll_seconds=0.05)


def test_a_server_that_ends_is_tried_again(export, tmp_path):
    log = tmp_path / "log"
    script = (
        "import pathlib, sys\n"
        f"with open({str(log)!r}, 'a') as file:\n"
        "    print(*sys.argv[1:], file=file)\n"
        "base = pathlib.Path(sys.argv[-1].partition('=')[2])\n"
        "print('found', *(p.name for p in base.iterdir()))\n"
        "print('no such op')\n"
        "sys.exit(3)\n"
    )
    settings = dataclasses.replace(QUICK, server=command(script))
    found = infra_validate.validate(export, settings)
    assert found.reasons == (
        "2 tries: server ended with code 3: found 7 no such op",
    )
    first, second = (line.split() for line in log.read_text().splitlines())
    names = [flag.partition("=")[0] for flag in first]
    assert names == ["--port", "--rest_api_port", "--max_num_load_retries",
                     "--model_name", "--model_base_path"]  # fmt: skip
    assert first[0] != second[0]  # another port
    assert not pathlib.Path(first[-1].partition("=")[2]).exists()


def test_a_server_that_does_not_get_ready_is_ended(export, tmp_path):
    script = (
        "import os, signal, time\n"
        # It has to be killed.
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    settings = dataclasses.replace(
        QUICK,
        server=command(script),
        tries=1,
        loading_seconds=1.5,
        stopping_seconds=0.3,
    )
    found = infra_validate.validate(export, settings)
    assert found.reasons == ("1 tries: not available after 1.5 s: ",)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def check(export, tolerance=1e-5, **outputs):
    """Compares a fake's fixed answer with the export's."""
    with (
        serving_fake.serve(Fake({"serving_default": answer(**outputs)})) as at,
        ServingClient(ChannelSettings(at, attempts=1), "m") as client,
    ):
        return infra_requests.check_answers(export, client, tolerance)


RIGHT = {
    "twice": np.array([2.0], np.float32),
    "text_bytes": [b"1.01.0"],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"twice": np.array([2.1], np.float32)}, "twice differs by up to 0.1"),
        ({"twice": np.array([np.nan], np.float32)}, "twice differs by up to n"),
        ({"twice": np.array([2.0])}, r"twice is float64 \(1,\); expected floa"),
        ({"twice": np.zeros((1, 1), np.float32)}, r"float32 \(1, 1\); expecte"),
        ({"text_bytes": [b"1.01.1"]}, "text_bytes differs: other bytes$"),
        ({"more": 1.0}, "outputs more, text_bytes, twice; expected text_byte"),
    ],
)
def test_answers_that_differ(export, changes, message):
    with pytest.raises(AnswerError, match=message) as caught:
        check(export, **(RIGHT | changes))
    assert str(caught.value).startswith("warm-up record 0 (serving_default): ")


def test_within_the_tolerance(export, tmp_path):
    serving_exports.write_warm_up(export, [[1.0]])
    near = {"twice": np.array([2.01], np.float32)}
    try:
        assert check(export, **RIGHT) == 1
        assert check(export, 0.01, **(RIGHT | near)) == 1
    finally:
        serving_exports.write_warm_up(export, [[1.0], [2.0, 3.0]])


def test_refused_or_nothing_to_send(export, tmp_path):
    with (
        serving_fake.serve(Fake(failures=9, code="INTERNAL")) as address,
        ServingClient(ChannelSettings(address), "m") as client,
    ):
        with pytest.raises(RequestError, match="INTERNAL: not now"):
            infra_requests.check_answers(export, client, 0)
        model = serving_exports.Constant(0)
        signatures = {"serving_default": model.double}
        tf.saved_model.save(model, str(tmp_path / "1"), signatures)
        with pytest.raises(AnswerError, match="requests: no Predict request"):
            infra_requests.check_answers(tmp_path / "1", client, 0)
