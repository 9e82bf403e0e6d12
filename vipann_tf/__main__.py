"""`python -m vipann_tf` is the command `vipann-tf`."""

from vipann_tf.cli import run

if __name__ == "__main__":
    run()
