-- expect: out of fuel
return (('a'):rep(40) .. 'b'):match(('a-'):rep(20) .. ('a*'):rep(20) .. 'c')
