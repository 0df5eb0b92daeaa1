-- expect: out of fuel
::top::
goto top
