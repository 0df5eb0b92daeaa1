-- expect: attempt to concatenate a table value
return {} .. ''
