"""What runs inside the sandbox. Only this package is mounted there, so it imports nothing but the standard library.

    zygote.py      a warm interpreter: for every check it forks, waits, kills and reports, so no check waits for a start
    solution.py    a fork of it that runs what a model wrote
    checker.py     a fork of it that runs assert statements
    stand_in.py    the solution's functions in the checker: stand-ins that call the solution's process
    line.py        the connection of the two: a socket, with values as plain data

So the checker and the solution never share an interpreter. And the process that a solution is forked from has never
read a test: the zygote passes files on without reading them.
"""
