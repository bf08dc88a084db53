"""What runs inside the sandbox. This package alone is mounted there, so it needs the standard library and nothing else.

    zygote.py      a warm interpreter: for every check it forks, waits, kills and reports, so that none pays for a start
    solution.py    a fork of it that runs what a model wrote
    checker.py     a fork of it that runs assert statements
    stand_in.py    what the solution's functions are there: stand-ins that ask the solution's process
    line.py        how the two talk: over a socket, values as plain data

So what judges and what is judged never share an interpreter. And what a solution is forked from has never read a test:
the zygote hands files on without looking into them.
"""
