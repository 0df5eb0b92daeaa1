-- expect: math.tau is read-only
math.tau = 2 * math.pi
