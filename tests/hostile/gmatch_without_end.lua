-- expect: out of fuel
for i = 1, 1e9 do for w in string.gmatch(('ab '):rep(10000), '%a+') do end end
