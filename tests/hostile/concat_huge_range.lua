-- expect: out of fuel
return table.concat({}, '', 1, 1e15)
