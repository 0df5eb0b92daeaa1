-- expect: invalid option
return string.format('%p', {})
