"""Folders of records become one: sets that were ingested apart.

    python -m trainer.join --data records_a,records_b --output records

For images of several scales without um/px of their own, of other scanners or
centres, or cases that came later: ingest each with its own flags, then join.
Classes must be the same. Shards are hard links where that works, so it takes no
time and no room. Prints what `trainer.ingest` prints.
"""

from absl import flags

from histogan_tf import program
from histogan_tf.progress_bar import progress_bar
from trainer import records_summary

flags.DEFINE_list("data", None, "folders of records, with commas between")
flags.DEFINE_string("output", None, "folder to make")
flags.mark_flags_as_required(["data", "output"])


def main() -> None:
    """Joins the folders, prints a summary."""
    from histogan_tf.data import ingest, joined_records, manifest

    sources = [manifest.load(folder) for folder in flags.FLAGS.data]
    command = program.command_line("trainer.join")
    with progress_bar("join") as show:
        made = joined_records.join(sources, flags.FLAGS.output, command, show)
    records_summary.show(made)
    notes = joined_records.unknown_patients(sources)
    for note in (*notes, *ingest.unlearnt(made)):
        print(note)


if __name__ == "__main__":
    program.run(main)
