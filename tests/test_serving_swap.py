"""Hot swaps under load: no request fails, none gets a wrong answer."""

import itertools
import random
import threading
import time

from serving_managers import (
    ask,
    config,
    eventually,
    put,
    spec,
    started,
    states,
)

SWAPS, CLIENTS = 5, 8


class Clients:
    """Threads that ask without a pause, and keep what went wrong."""

    def __init__(self, manager, labels=(None,)):
        self.wrong, self.seen, self.counts = [], set(), [0] * CLIENTS
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(manager, i, label))
            for i, label in zip(
                range(CLIENTS), itertools.cycle(labels), strict=False
            )
        ]

    def _work(self, manager, place, label):
        for x in itertools.count():
            if self._stop.is_set():
                return
            x = float(x % 1000)
            try:
                version, y = ask(manager, "m", label=label, x=x)
            except Exception as error:
                self.wrong.append(error)
                return
            self.counts[place] += 1
            self.seen.add(version)
            if y != x / 2 + version:
                self.wrong.append((version, x, y))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def all_have_asked(self):
        """Waits until each client has had an answer since now."""
        before = list(self.counts)
        eventually(
            lambda: all(
                now > then
                for now, then in zip(self.counts, before, strict=True)
            ),
            60,
        )


def test_swaps_and_a_rollback(tmp_path):
    base = tmp_path / "m"
    put(base, 1)
    with started(base) as manager, Clients(manager) as clients:
        for version in range(2, SWAPS + 2):
            put(base, version)
            eventually(lambda v=version: ask(manager, "m")[0] == v, 60)
            clients.all_have_asked()
        newest = base / str(SWAPS + 1)
        newest.rename(base / ".bad")
        eventually(lambda: ask(manager, "m")[0] == SWAPS, 60)
        clients.all_have_asked()
        eventually(lambda: ended(manager) == SWAPS, 60)
    assert not clients.wrong
    assert clients.seen == set(range(1, SWAPS + 2))


def test_rollback_while_the_old_version_drains(tmp_path):
    base = tmp_path / "m"
    put(base, 1)
    with started(base) as manager:
        old = manager.handle(spec("m"))
        with Clients(manager) as clients:
            with old:
                put(base, 2)
                eventually(lambda: states(manager, "m")[-1][1] == "UNLOADING")
                # Version 1 is wanted again, but can come only when it has
                # ended: version 2 must serve until then.
                (base / "2").rename(base / ".2")
                manager.poll()
                clients.all_have_asked()
                assert ask(manager, "m")[0] == 2
            eventually(lambda: ask(manager, "m")[0] == 1, 60)
            clients.all_have_asked()
        assert not clients.wrong
        eventually(lambda: states(manager, "m")[0] == (2, "END", 0))


def test_any_order_of_configs_and_polls_leaves_something_to_serve(tmp_path):
    base = tmp_path / "m"
    for version in (1, 2, 3):
        put(base, version)
    policies = [[1], [2], [3], [1, 2], [1, 3], [2, 3], 1, 2, "all", [7, 1]]
    rng = random.Random(4)
    with started(base) as manager, Clients(manager) as clients:
        for _ in range(80):
            manager.reload(config(base, m=rng.choice(policies)), timeout=20)
            time.sleep(rng.choice([0, 0, 0.001, 0.02]))
        manager.reload(config(base, m=[2]), timeout=20)
        eventually(lambda: ask(manager, "m")[0] == 2, 60)
        clients.all_have_asked()
        eventually(lambda: ended(manager) == 2, 60)
    assert not clients.wrong


def ended(manager):
    return [row[1] for row in states(manager, "m")].count("END")


def test_labels_and_policies_change_under_load(tmp_path):
    base = tmp_path / "m"
    put(base, 1)
    put(base, 2)

    def labelled(policy, **labels):
        found = config(base, m=policy)
        found.model_config_list.config[0].version_labels.update(labels)
        return found

    with started(base, m=[1, 2]) as manager:
        eventually(lambda: len(available(manager)) == 2)
        manager.reload(labelled([1, 2], stable=1, canary=2))
        with Clients(manager, ["stable", "canary", None]) as clients:
            for _ in range(3):
                manager.reload(labelled([1, 2], stable=2, canary=1))
                clients.all_have_asked()
                manager.reload(labelled([1, 2], stable=1, canary=2))
                clients.all_have_asked()
        assert not clients.wrong
        assert clients.seen == {1, 2}


def available(manager):
    return [row for row in states(manager, "m") if row[1] == "AVAILABLE"]
