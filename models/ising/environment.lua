function init(env)
  if param.side % 2 == 1 then
    error("side is " .. param.side .. ": a checkerboard closes round a torus only when it is even")
  end
end
