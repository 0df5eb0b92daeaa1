-- expect: width or precision above 99
return #string.format('%1000000000d', 1)
