"""`python -m vipann_tf.cli`."""

from vipann_tf.cli import run

if __name__ == "__main__":
    run()
