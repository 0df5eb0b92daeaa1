-- expect: out of fuel
repeat until false
