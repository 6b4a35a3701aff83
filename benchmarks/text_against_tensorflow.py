#!/usr/bin/env python3
"""Times a text embedding in tf1hub and in TensorFlow, in turns, and prints the ratios.

    benchmarks/text_against_tensorflow.py build/release/bin/tf1hub

The Python needs numpy and TensorFlow, which writes the SavedModel: lower case, punctuation removed,
split at blanks, a vocabulary of 100,000 words with hash buckets for others, and the sum of the
words' rows of 128 floats divided by the root of their number. Sentences have 8 to 24 made-up words.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow.compat.v1 as tf

WORDS, WIDTH, BUCKETS = 100_000, 128, 10
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu".split()


def vocabulary():
    words = []
    for number in range(WORDS):
        word = ""
        while True:
            word = SYLLABLES[number % 20] + word
            number = number // 20 - 1
            if number < 0:
                break
        words.append(word)
    return words


def sentences(words, count):
    """Frequent words come first in the vocabulary; one word in twelve is unknown, some end in punctuation."""
    rng = np.random.default_rng(count)
    result = []
    for _ in range(count):
        drawn = [words[int(v)] for v in rng.random(rng.integers(8, 25)) ** 3 * WORDS]
        drawn = ["Qq%d" % rng.integers(10**6) if rng.random() < 0.08 else word for word in drawn]
        drawn = [word + rng.choice(list(",.!?")) if rng.random() < 0.1 else word for word in drawn]
        result.append(" ".join(drawn))
    return np.array(result)


def embedding(words, table_of_rows):
    text = tf.placeholder(tf.string, [None], name="text")
    clean = tf.strings.regex_replace(tf.strings.lower(text), r"[^a-z0-9 ]", "")
    tokens = tf.string_split(clean, " ")
    values = tf.range(len(words), dtype=tf.int64)
    table = tf.lookup.StaticVocabularyTable(tf.lookup.KeyValueTensorInitializer(words, values), BUCKETS)
    rows = tf.get_variable("rows", initializer=table_of_rows, use_resource=True)
    return text, tf.nn.safe_embedding_lookup_sparse(rows, table.lookup(tokens), combiner="sqrtn")


def time_tf1hub(args, folder, batch, threads, repeat):
    outputs = os.path.join(folder, "outputs.npz")
    command = [args.tf1hub, "bench", os.path.join(folder, "model"), "--inputs", os.path.join(folder, f"{batch}.npz"),
               "--threads", str(threads), "--warmup", "5", "--repeat", str(repeat), "--outputs", outputs, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    with np.load(outputs) as arrays:
        return json.loads(done.stdout.splitlines()[-1])["ms"], arrays[arrays.files[0]]


def time_tensorflow(run, texts, repeat):
    milliseconds = []
    for number in range(5 + repeat):
        start = time.perf_counter()
        result = run(texts)
        if number >= 5:
            milliseconds.append((time.perf_counter() - start) * 1e3)
    return milliseconds, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tf1hub", help="the program")
    parser.add_argument("--batches", default="1,32,1000")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    tf.disable_v2_behavior()
    words = vocabulary()
    rows = np.random.default_rng(1).standard_normal((WORDS + BUCKETS, WIDTH), dtype=np.float32)
    text, output = embedding(words, rows)
    options = tf.ConfigProto(intra_op_parallelism_threads=args.threads, inter_op_parallelism_threads=args.threads)
    with tf.Session(config=options) as session, tempfile.TemporaryDirectory() as folder:
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
        tf.saved_model.simple_save(session, os.path.join(folder, "model"), {"text": text}, {"output": output},
                                   legacy_init_op=tf.tables_initializer())
        run = session.make_callable(output, [text])
        for batch in (int(n) for n in args.batches.split(",")):
            texts = sentences(words, batch)
            np.savez(os.path.join(folder, f"{batch}.npz"), text=texts.astype("S"))
            repeat = max(20, 2000 // batch)
            ours, theirs, ratios = [], [], []
            for _ in range(args.rounds):
                mine, y = time_tf1hub(args, folder, batch, args.threads, repeat)
                peer, z = time_tensorflow(run, texts.astype("O"), repeat)
                ours += mine
                theirs += peer
                ratios.append(statistics.median(peer) / statistics.median(mine))
            fastest = statistics.median(ours)
            print(f"batch {batch}: tf1hub {fastest:.4f} ms ({batch / fastest:.0f} thousand sentences a second), "
                  f"TensorFlow {statistics.median(theirs):.4f} ms, ratio {statistics.median(ratios):.1f}, "
                  f"largest difference {np.abs(y - z).max():.1e}", flush=True)


if __name__ == "__main__":
    main()
