"""Toy SavedModels for the tests of serving: small, quick, of known answers.

Every function takes a folder `BASE/<version>` and saves there; it returns the
folder. All are saved with the tag `serve`, TF2 style unless it says TF1.
"""

import pathlib

import tensorflow as tf

VOCABULARY = ("gland", "lumen", "stroma")


class HalfPlus(tf.Module):
    """y = x / 2 + offset, and signatures of other types and shapes."""

    def __init__(self, offset: float, wait: float = 0.0):
        super().__init__()
        self.half = tf.Variable(0.5, name="half")
        self.offset = tf.Variable(float(offset), name="offset")
        self.wait = wait

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def serving_default(self, x):
        """{"x": float32 [batch]} -> {"y": x / 2 + offset}."""
        if self.wait:
            x = slowly(x, self.wait)
        return {"y": x * self.half + self.offset}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 3], tf.float32, "a"),
            tf.TensorSpec([None], tf.float32, "b"),
        ]
    )
    def two(self, a, b):
        """{"a": [n, m, 3], "b": [n]} -> {"sum": [n], "shape": int64 [n, 3]}."""
        total = tf.reduce_sum(a, [1, 2]) + b
        row = tf.shape(a, out_type=tf.int64)[tf.newaxis]
        return {"sum": total, "shape": tf.tile(row, [tf.size(b), 1])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def text(self, text):
        """{"text": string [n]} -> {"upper_bytes", "length": int32 [n]}."""
        return {
            "upper_bytes": tf.strings.upper(text),
            "length": tf.strings.length(text),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def positive(self, x):
        """{"x": float32 [n]} -> {"x"}; InvalidArgument below 0."""
        with tf.control_dependencies(
            [tf.debugging.assert_non_negative(x, "x is negative")]
        ):
            return {"x": tf.identity(x)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def scalar(self, x):
        """{"x": float32 []} -> {"y": x / 2 + offset}."""
        return {"y": x * self.half + self.offset}


def slowly(x, seconds: float):
    """`x`, after about so many seconds of a graph's own computing."""
    start = tf.timestamp()
    busy = tf.while_loop(
        lambda i: tf.timestamp() - start < seconds,
        lambda i: (i + tf.reduce_sum(tf.ones([100, 100])),),
        (tf.constant(0.0),),
        parallel_iterations=1,
    )[0]
    return x + 0.0 * busy


def half_plus(folder: pathlib.Path, offset: float = 2.0, wait: float = 0.0):
    """HalfPlus with five signatures; `wait` makes the default one slow."""
    model = HalfPlus(offset, wait)
    names = ("serving_default", "two", "text", "positive", "scalar")
    signatures = {name: getattr(model, name) for name in names}
    tf.saved_model.save(model, str(folder), signatures)
    return folder


def quick_and_slow(folder: pathlib.Path) -> pathlib.Path:
    """HalfPlus twice: `m`, and `slow`, which takes two seconds."""
    half_plus(folder / "m" / "1")
    half_plus(folder / "slow" / "1", wait=2.0)
    return folder


def table(folder: pathlib.Path):
    """A lookup table made from an asset file: {"word"} -> {"place": int64}.

    Unknown words get -1. Right only if assets and initialisers are run.
    """
    source = folder.parent / f".{folder.name}.words.txt"
    folder.parent.mkdir(parents=True, exist_ok=True)
    source.write_text("\n".join(VOCABULARY))
    model = tf.Module()
    model.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(source),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word")])
    def look_up(word):
        return {"place": model.table.lookup(word)}

    model.look_up = look_up
    tf.saved_model.save(model, str(folder), {"serving_default": look_up})
    source.unlink()
    return folder


def tf1(folder: pathlib.Path, offset: float = 2.0):
    """TF1 style, by a builder: y = x / 2 + offset, and a word table.

    Signatures: serving_default {"x"} -> {"y"}; `look_up` as in `table`, with
    an asset and a main op.
    """
    v1 = tf.compat.v1
    words = folder.parent / f".{folder.name}.words.txt"
    folder.parent.mkdir(parents=True, exist_ok=True)
    words.write_text("\n".join(VOCABULARY))
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        half = v1.get_variable("half", initializer=0.5, use_resource=False)
        y = tf.add(x * half, offset, "y")
        word = v1.placeholder(tf.string, [None], "word")
        asset = tf.constant(str(words), name="vocabulary")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
        place = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                asset,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            -1,
        ).lookup(word)
        session.run([v1.global_variables_initializer()])
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={
                "serving_default": v1.saved_model.predict_signature_def(
                    {"x": x}, {"y": y}
                ),
                "look_up": v1.saved_model.predict_signature_def(
                    {"word": word}, {"place": place}
                ),
            },
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    words.unlink()
    return folder


def heads(folder: pathlib.Path):
    """TF1 style, over serialized tf.Example with a float feature `x`.

    `serving_default` = `classify`: classes "low", "high" with scores
    (1 - x, x); `scores_only`, `classes_only`: the same with one output;
    `regress`: x / 2 + 2; `predict`: {"examples"} -> {"y"}.
    """
    v1, sm = tf.compat.v1, tf.compat.v1.saved_model
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], "examples")
        parsed = tf.io.parse_example(
            examples, {"x": tf.io.FixedLenFeature([1], tf.float32)}
        )
        x = parsed["x"]
        half = v1.get_variable("half", initializer=0.5)
        names = tf.tile(tf.constant([["low", "high"]]), [tf.shape(x)[0], 1])
        scores = tf.concat([1 - x, x], 1)
        y = x * half + 2.0
        session.run(v1.global_variables_initializer())
        classify = sm.classification_signature_def(examples, names, scores)
        builder = sm.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": classify,
                "classify": classify,
                "scores_only": sm.classification_signature_def(
                    examples, None, scores
                ),
                "classes_only": sm.classification_signature_def(
                    examples, names, None
                ),
                "regress": sm.regression_signature_def(examples, y),
                "predict": sm.predict_signature_def(
                    {"examples": examples}, {"y": y}
                ),
            },
        )
        builder.save()
    return folder


def warmup_records(folder: pathlib.Path, logs: list) -> pathlib.Path:
    """Writes PredictionLogs as the warm-up file of a version."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return path


def corrupt(folder: pathlib.Path) -> pathlib.Path:
    """A version whose saved_model.pb is no SavedModel."""
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"\xff not a model")
    return folder
