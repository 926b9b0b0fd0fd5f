"""Requests to one M/M/16 service, 80 % busy, in SimPy: a tenth of the requests of `paths single`.

    python3 -m venv /tmp/simpy && /tmp/simpy/bin/pip install simpy==4.1.1
    /tmp/simpy/bin/python benches/peers/mmc.py
"""

import random
import time

import simpy

WORKERS, ARRIVAL, SERVICE, COUNT = 16, 1e-5, 1e-5 * 16 * 0.8, 100_000


def request(env, workers, luck, waits):
    came = env.now
    with workers.request() as turn:
        yield turn
        waits.append(env.now - came)
        yield env.timeout(luck.expovariate(1 / SERVICE))


def clients(env, workers, luck, waits):
    for _ in range(COUNT):
        yield env.timeout(luck.expovariate(1 / ARRIVAL))
        env.process(request(env, workers, luck, waits))


for seed in range(1, 6):
    env, luck, waits = simpy.Environment(), random.Random(seed), []
    workers = simpy.Resource(env, capacity=WORKERS)
    env.process(clients(env, workers, luck, waits))
    start = time.process_time()
    env.run()
    passed = time.process_time() - start
    print(f"SimPy, {COUNT}, {1e6 * sum(waits) / COUNT:.2f}, {COUNT / passed:.0f}")
