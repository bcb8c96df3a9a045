"""Work in the background ends with the interpreter, in whatever part of torch it is."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
import time
from concurrent.futures import ThreadPoolExecutor

import torch

from widgets.background import Job

def work(report):
    layer, step = torch.nn.Linear(300, 300), 0
    while not report(step, 0, 0.0):
        layer(torch.randn(64, 300)).sum().backward()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int).result()
        step += 1
    time.sleep(0.2)
    print("stopped")

def done():
    print("another" if job.start(work) else "no other", job.error)

job = Job()
job.start(work, done=done)
time.sleep(0.2)
print("end")
"""


def test_work_stops_at_its_next_report_when_the_process_ends():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split("\n") == ["end", "stopped", "no other None", ""]
