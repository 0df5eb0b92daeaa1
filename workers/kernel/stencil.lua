-- Loops over the cells of a layer, generated from an expression, so that a whole pass is one Lua function that
-- the JIT compiles.
--
-- `around` is the sum over a cell's neighbours, in an order that is the same for every cell and on every VM (floating
-- sums depend on it); outside a bounded grid there are zeros, and on a torus a neighbour that two offsets lead to
-- counts twice.
--   8   ((NW + W) + SW) + (N + S), then + ((NE + E) + SE)      each side's sum is kept for the next cell
--   4   ((N + W) + E) + S
--   6   ((NW + NE) + (W + E)) + (SW + SE)                      odd rows stand half a cell to the right
-- North is row y - 1. Rows above and below are found once a row; in a row the last cell is apart, so the loop over the
-- others has no branch but the expression's own.

local D = ...
local error, pcall, tostring, type = error, pcall, tostring, type
local concat, format, gsub, match = table.concat, string.format, string.gsub, string.match

local M = {}

-- A cell's value, and its place for a failure's report.
local CELL = [[
      local v = __v
      %s
      __at[0] = x
      local __k = (%s)
      if __type(__k) ~= 'number' then __bad(__k) end
      __t[__r + x] = __k
]]

-- __s, __t: values before and after; __o: the other layers; __z: a row of zeros; __p, __q: two numbers for `code`.
local PASS = [[
return function(__type, __bad, __charge, __at) return function(__s, __t, __o, __w, __h, __z, __p, __q)
  %s
  local __last, __units = __w - 1, __w / 8
  for y = 0, __h - 1 do
    __charge(__units)
    __at[1] = y
    local __r = y * __w
    %s
    for x = 0, __last - 1 do
      %s
      %s
      %s
    end
    do
      local x = __last
      %s
      %s
    end
  end
end end]]

local ROWS = {
  torus = [[
    local __U, __D = __s, __s
    local __u, __d = (y == 0 and __h or y) * __w - __w, (y == __h - 1 and 0 or y + 1) * __w]],
  bounded = [[
    local __U, __D, __u, __d = __s, __s, __r - __w, __r + __w
    if y == 0 then __U, __u = __z, 0 end
    if y == __h - 1 then __D, __d = __z, 0 end]],
}

-- before: at the row's start; load: what the next column adds; shift: on to it; last: what stands for the
-- next column at the row's end. %s: what is beyond the border, by `wrapped`.
local SHAPES = {
  [0] = {before = "", load = "local __v = __s[__r + x]", shift = "", last = "local __v = __s[__r + x]", edges = {}},
  [4] = {
    before = "local __l, __v = W, __s[__r]",
    load = "local __b = __s[__r + x + 1] local around = ((__U[__u + x] + __l) + __b) + __D[__d + x]",
    shift = "__l, __v = __v, __b",
    last = "local __b = E local around = ((__U[__u + x] + __l) + __b) + __D[__d + x]",
    edges = {W = "__s[__r + __last]", E = "__s[__r]"},
  },
  [6] = {
    before = [[local __odd = y % 2
    local __l, __v, __i, __j = W, __s[__r], __U[__u], __D[__d]
    if __odd == 0 then __i, __j = NW, SW end]],
    load = [[local __a, __b, __c = __U[__u + x + __odd], __s[__r + x + 1], __D[__d + x + __odd]
      local around = ((__i + __a) + (__l + __b)) + (__j + __c)]],
    shift = "__i, __j, __l, __v = __a, __c, __v, __b",
    last = [[local __a, __b, __c = __U[__u + x], E, __D[__d + x]
      if __odd == 1 then __a, __c = NE, SE end
      local around = ((__i + __a) + (__l + __b)) + (__j + __c)]],
    edges = {
      NW = "__U[__u + __last]", W = "__s[__r + __last]", SW = "__D[__d + __last]",
      NE = "__U[__u]", E = "__s[__r]", SE = "__D[__d]",
    },
  },
  [8] = {
    before = [[local __l = W
    local __e, __v, __f = __U[__u], __s[__r], __D[__d]
    local __m = (__e + __v) + __f]],
    load = [[local __a, __b, __c = __U[__u + x + 1], __s[__r + x + 1], __D[__d + x + 1]
      local __n = (__a + __b) + __c
      local around = (__l + (__e + __f)) + __n]],
    shift = "__l, __m, __e, __v, __f = __m, __n, __a, __b, __c",
    last = [[local __n = E
      local around = (__l + (__e + __f)) + __n]],
    edges = {
      W = "((__U[__u + __last] + __s[__r + __last]) + __D[__d + __last])", E = "((__U[__u] + __s[__r]) + __D[__d])",
    },
  },
}

local place = D.buffer.i32(2) -- x, y of the cell at work

local function bad(value)
  local shown = value == nil and "nil" or type(value) == "boolean" and tostring(value) or "a " .. type(value)
  error("expression:1: gives " .. shown .. ", where a number is needed", 0)
end

-- pass(src, dst, others, width, height, zeros, p, q): dst[cell] = `code`, for all cells row by row.
-- In `code` stand v, x, y, __p, __q, the layers `reads` (whose arrays are `others`), and `around` if there are
-- neighbours (0 for none).
function M.pass(env, name, code, neighbors, torus, reads)
  local arrays, locals = {}, {}
  for j = 1, #reads do
    arrays[j] = format("local __o%d = __o[%d]", j, j)
    locals[j] = format("local %s = __o%d[__r + x]", reads[j], j)
  end
  local shape = SHAPES[neighbors]
  local function edge(text)
    return (gsub(text, "%f[%w_][NS]?[WE]%f[^%w_]", function(side)
      return torus and shape.edges[side] or "0"
    end))
  end
  local rows = neighbors == 0 and "" or ROWS[torus and "torus" or "bounded"]
  local cell = format(CELL, concat(locals, " "), code)
  local text = format(PASS, concat(arrays, " "), rows .. " " .. edge(shape.before),
    shape.load, cell, shape.shift, edge(shape.last), cell)
  return D.compile.chunk(env, name, text)(type, bad, D.sandbox.charge, place)
end

-- Runs a pass; a failure of the expression names `what` and the cell.
function M.run(what, pass, ...)
  local ok, e = pcall(pass, ...)
  if ok then return end
  local reason = type(e) == "string" and match(e, "^expression:%d+: (.*)$")
  if reason then
    e = what .. ", at cell (" .. format("%d, %d", place[0], place[1]) .. "): " .. reason
  end
  error(e, 0)
end

-- The sum around one cell, as `around` in a pass; at(x, y) reads a cell, 0 outside.
function M.around(at, x, y, neighbors)
  if neighbors == 4 then return ((at(x, y - 1) + at(x - 1, y)) + at(x + 1, y)) + at(x, y + 1) end
  if neighbors == 6 then
    local a, b = x - 1 + y % 2, x + y % 2
    return ((at(a, y - 1) + at(b, y - 1)) + (at(x - 1, y) + at(x + 1, y))) + (at(a, y + 1) + at(b, y + 1))
  end
  local west = (at(x - 1, y - 1) + at(x - 1, y)) + at(x - 1, y + 1)
  local east = (at(x + 1, y - 1) + at(x + 1, y)) + at(x + 1, y + 1)
  return (west + (at(x, y - 1) + at(x, y + 1))) + east
end

return M
