-- expect: ok
table.sort(string)
return type(string.rep)
