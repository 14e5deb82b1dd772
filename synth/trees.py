"""Trees of the RTL: folders or revisions of git."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def call(command, seconds=1800):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def tree_of(name, work):
    """The folder of a tree: itself, or a revision's files."""
    if name is None:
        return ROOT
    if os.path.isdir(name):
        return pathlib.Path(name).resolve()
    folder = pathlib.Path(work, "tree")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", name, "rtl"], check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder
