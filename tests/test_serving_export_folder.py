"""A model that fails its checks never gets its name."""

import pytest

from histogan_tf import run_dir
from histogan_tf.errors import InputError
from serving import export_folder, signatures
from serving.model_card import Export


def test_a_saved_model_of_other_weights(
    random_run, random_networks, monkeypatch, tmp_path
):
    weight = random_networks.reader.network.last.kernel
    trained = weight.numpy()

    def save_other(folder, networks, graphs):
        weight.assign(1.5 * trained)
        save(folder, networks, graphs)
        weight.assign(trained)

    save = signatures.save
    monkeypatch.setattr(signatures, "save", save_other)
    # The ops are right, and looking at them takes a process of its own.
    monkeypatch.setattr(export_folder.stock_ops, "check", lambda folder: None)
    run = run_dir.open_run(random_run)
    export = Export("tissue", 1, 2**16, ())
    with pytest.raises(InputError, match="signature segment"):
        export_folder.write(tmp_path, run, random_networks, export)
    assert not [*tmp_path.iterdir()]
