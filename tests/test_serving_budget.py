"""serving.budget: many threads, one count."""

import threading

from serving.budget import Budget


def test_what_fits():
    budget = Budget(10)
    assert budget.most == 10
    assert budget.take(7) and budget.take(3)
    assert not budget.take(1)
    assert budget.take(0)
    budget.give_back(7)
    # What did not fit was not counted.
    assert not budget.take(8) and budget.take(7)
    # More than there is at all.
    assert not Budget(10).take(11)


def test_a_budget_is_for_many_threads():
    budget = Budget(1000)

    def work():
        for _ in range(5000):
            if budget.take(300):
                budget.give_back(300)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.take(1000)
    assert not budget.take(1)
