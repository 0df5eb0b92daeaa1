-- expect: field 'foreach'
return table.foreach({}, error)
