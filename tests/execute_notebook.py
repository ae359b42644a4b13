"""Runs all cells of a notebook and saves it with their outputs: execute_notebook.py NOTEBOOK TO SECONDS_PER_CELL.

Replaces `jupyter nbconvert --execute`: the kernel of Deno 2.9.6 may send output after it reports a cell as done,
and nbconvert drops late output. This program waits for it.
"""

import os
import queue
import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete

LATE_SECONDS = 0.3

path, to, seconds = sys.argv[1:]
notebook = nbformat.read(path, nbformat.current_nbformat)
client = NotebookClient(
    notebook,
    kernel_name="deno",
    timeout=int(seconds),
    record_timing=False,
    resources={"metadata": {"path": os.path.dirname(os.path.abspath(path))}},
)


async def take_late_output(cell, cell_index, execute_reply):
    while True:
        try:
            message = await client.kc.iopub_channel.get_msg(timeout=LATE_SECONDS)
        except queue.Empty:
            return
        if message["parent_header"].get("msg_id") != execute_reply["parent_header"]["msg_id"]:
            continue
        try:
            client.process_message(message, cell, cell_index)
        except CellExecutionComplete:
            pass


client.on_cell_executed = take_late_output
client.execute()
nbformat.write(notebook, to)
