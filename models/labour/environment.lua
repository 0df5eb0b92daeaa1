-- The exchange and the statistics office.
--
-- Three markets open every month: goods, labour, and the services of AI. The bids and offers of a
-- month come in while the tick closes; then each market is cleared at the one price at which all
-- that is offered is sold for all that is bid.
--
-- env.price, wage, rate   cents for a unit of goods, a month's work, a unit of AI service
-- env.output              units sold in the month
-- env.wage_share          wages / (wages + rents + profits)

local function book()
  return {who = {}, amount = {}, total = 0}
end

local function enter(list, who, amount)
  local n = #list.who + 1
  list.who[n] = who
  list.amount[n] = amount
  list.total = list.total + amount
end

local function open(env)
  env.buyers, env.sellers = book(), book()           -- cents, units
  env.workers, env.employers = book(), book()        -- months of work, cents
  env.machines, env.tenants = book(), book()         -- services, cents
  env.profits = 0
end

function init(env)
  env.price, env.wage, env.rate = 0, 0, 0
  env.output, env.wage_share = 0, 0
  open(env)
end

function on.spend(env, msg, from)
  enter(env.buyers, from, msg.cents)
end

function on.sell(env, msg, from)
  enter(env.sellers, from, msg.units)
end

function on.work(env, msg, from)
  enter(env.workers, from, 1)
end

function on.serve(env, msg, from)
  enter(env.machines, from, msg.services)
end

function on.hire(env, msg, from)
  enter(env.employers, from, msg.payroll)
  enter(env.tenants, from, msg.rent)
  env.profits = env.profits + msg.profit
end

-- Shares out a whole number in proportion to the amounts in the list, in whole numbers and to the
-- last one: where the running total is rounded, the rounding of one makes good that of another.
local function share_out(pot, list, give)
  if pot == 0 then return end
  local sum, given = 0, 0
  for k, who in ipairs(list.who) do
    sum = sum + list.amount[k]
    local up_to = math.floor(pot * (sum / list.total))
    give(who, up_to - given)
    given = up_to
  end
end

local function pay(pot, list, why)
  share_out(pot, list, function(who, cents)
    send(who, "money", {cents = cents, why = why})
  end)
end

local function deliver(pot, list)
  share_out(pot, list, function(who, units)
    send(who, "goods", {units = units})
  end)
end

local function clear_goods(env)
  local cents, units = env.buyers.total, env.sellers.total
  if cents == 0 or units == 0 then         -- no market: everybody takes home what they brought
    pay(cents, env.buyers, "refund")
    deliver(units, env.sellers)
    env.output = 0
    return
  end
  env.price, env.output = cents / units, units
  pay(cents, env.sellers, "sales")
  deliver(units, env.buyers)
end

local function clear_labour(env)
  local payroll, work = env.employers.total, env.workers.total
  env.wage = payroll / math.max(work, 1)   -- nobody worked: what one who had would have been paid
  if work > 0 then
    pay(payroll, env.workers, "wage")
  else
    pay(payroll, env.employers, "refund")
  end
end

local function clear_services(env)
  env.rate = env.tenants.total / env.machines.total
  pay(env.tenants.total, env.machines, "rent")
end

-- A firm gets the part of all work, and of all services, that it paid for. In a month when no firm
-- had any money, all get the same: else nothing would ever be made and sold again.
local function part(list, k)
  return list.total > 0 and list.amount[k] / list.total or 1 / #list.who
end

local function send_inputs(env)
  local employers, tenants = env.employers, env.tenants
  for k, firm in ipairs(employers.who) do
    send(firm, "inputs", {
      work = env.workers.total * part(employers, k),
      services = env.machines.total * part(tenants, k),
    })
  end
end

function step(env)
  clear_goods(env)
  clear_labour(env)
  clear_services(env)
  send_inputs(env)
  local wages = env.employers.total
  env.wage_share = wages / math.max(wages + env.tenants.total + env.profits, 1)
  open(env)
end

-- What an amount of money buys.
function query.real(env, cents)
  return env.price > 0 and cents / env.price or 0
end
