-- expect: one seed
math.randomseed(1)
