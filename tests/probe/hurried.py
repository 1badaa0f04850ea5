"""twistd, with demand that comes and goes ten times as fast: what takes minutes takes seconds."""

from twisted.scripts.twistd import run

from oose.demand import counter, note, saying, service

TIMES = 10

if __name__ == "__main__":
    counter.HALF_LIFE /= TIMES
    counter.TICK /= TIMES
    vars(service).update(TICK=counter.TICK, ROUND=service.ROUND / TIMES)
    saying.RENEWAL //= TIMES
    note.WORD_LIFE //= TIMES
    run()
