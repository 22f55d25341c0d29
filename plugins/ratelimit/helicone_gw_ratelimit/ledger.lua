-- Budgets on Redis: what ledger.py does in memory, as a table of functions. Amounts are whole nano-dollars, times whole
-- microseconds. An account is a hash and, where reservations have leases, a sorted set of their ends:
--   g generation   s spent   s:<bucket> spent in a part of a rolling window   b newest bucket
--   r reserved   n reservations   l alert level   c:<id> a reservation
-- In the sorted set, "=<id>" is an exchange that was settled.
(function()
  local function whole(number)
    -- Nothing taken away from nothing is -0 to Lua, which is no number to Redis.
    return string.format('%.0f', number + 0)
  end
  local function numbers(args, from)
    local all = {}
    for i = from, #args do
      all[#all + 1] = tonumber(args[i])
    end
    return all
  end
  local function field(key, name)
    return tonumber(redis.call('HGET', key, name) or '0')
  end
  local function parts(key, width, count, now)
    local current, names = math.floor(now / width), {}
    for i = current - count, current do
      names[#names + 1] = 's:' .. whole(i)
    end
    return redis.call('HMGET', key, unpack(names)), current
  end
  local function spent(key, width, count, now)
    if width == 0 then
      return field(key, 's')
    end
    local total = 0
    for _, text in ipairs(parts(key, width, count, now)) do
      total = total + tonumber(text or '0')
    end
    return total
  end
  local function free_at(key, width, count, now, excess)
    if width == 0 then
      return 0
    end
    local amounts, current = parts(key, width, count, now)
    for i, text in ipairs(amounts) do
      excess = excess - tonumber(text or '0')
      if excess <= 0 then
        return (current - count + i - 1 + count + 1) * width
      end
    end
    return 0
  end
  local function let_go(keys, id)
    local amount = redis.call('HGET', keys[1], 'c:' .. id)
    if amount then
      redis.call('HINCRBY', keys[1], 'r', whole(-tonumber(amount)))
      redis.call('HINCRBY', keys[1], 'n', -1)
      redis.call('HDEL', keys[1], 'c:' .. id)
    end
  end
  local function expire(keys, now)
    local ended = redis.call('ZRANGEBYSCORE', keys[2], '-inf', whole(now), 'LIMIT', 0, 1000)
    for _, id in ipairs(ended) do
      let_go(keys, id)
      redis.call('ZREM', keys[2], id)
    end
  end
  local function hold(keys, id, amount, lease, keep, now)
    local held = redis.call('HGET', keys[1], 'c:' .. id)
    redis.call('HSET', keys[1], 'c:' .. id, whole(amount))
    redis.call('HINCRBY', keys[1], 'r', whole(amount - tonumber(held or '0')))
    if not held then
      redis.call('HINCRBY', keys[1], 'n', 1)
    end
    redis.call('PEXPIRE', keys[1], whole(keep))
    if lease > 0 then
      redis.call('ZADD', keys[2], whole(now + lease), id)
      redis.call('PEXPIRE', keys[2], whole(keep))
    end
  end
  local function add(key, amount, width, count, now)
    if width == 0 then
      return tonumber(redis.call('HINCRBY', key, 's', whole(amount))), 0
    end
    local current = math.floor(now / width)
    local newest = field(key, 'b')
    if current > newest then
      for i = math.max(newest, current - 2 * count - 1) - count, current - count - 1 do
        redis.call('HDEL', key, 's:' .. whole(i))
      end
      redis.call('HSET', key, 'b', whole(current))
    end
    return tonumber(redis.call('HINCRBY', key, 's:' .. whole(current), whole(amount))), current
  end
  local function level(total, thresholds, from)
    local reached = 0
    for i = from, #thresholds do
      if total >= thresholds[i] then
        reached = i - from + 1
      end
    end
    return reached
  end
  local function generation(key)
    return tonumber(redis.call('HGET', key, 'g') or '-1')
  end
  return {
    check = function(keys, args, now)
      local amount, limit, _, _, width, count, in_flight = unpack(numbers(args, 2))
      expire(keys, now)
      local found = {
        spent = spent(keys[1], width, count, now),
        reserved = field(keys[1], 'r'),
        generation = generation(keys[1]),
      }
      found.excess = found.spent + found.reserved + amount - limit
      local room = in_flight == 0 or field(keys[1], 'n') < in_flight
      return found.generation >= 0 and (limit < 0 or found.excess <= 0) and room, found
    end,
    report = function(keys, args, now, found)
      local _, limit, _, _, width, count = unpack(numbers(args, 2))
      local free = 0
      if limit >= 0 and found.excess > 0 then
        free = free_at(keys[1], width, count, now, found.excess)
      end
      return {found.spent, found.reserved, found.generation, free}
    end,
    take = function(keys, args, now, found)
      local amount, _, lease, keep = unpack(numbers(args, 2))
      hold(keys, args[1], amount, lease, keep, now)
      return {found.spent, found.reserved + amount, found.generation, 0}
    end,
    settle = function(keys, args, now)
      local given = numbers(args, 2)
      local actual, lease, keep, width, count = unpack(given)
      expire(keys, now)
      let_go(keys, args[1])
      redis.call('ZREM', keys[2], args[1])
      if lease > 0 then
        -- Whoever does not hear that this was done asks again: it must not count twice.
        if redis.call('ZSCORE', keys[2], '=' .. args[1]) then
          actual = 0
        else
          redis.call('ZADD', keys[2], whole(now + lease), '=' .. args[1])
          redis.call('PEXPIRE', keys[2], whole(keep))
        end
      end
      local part, bucket = add(keys[1], actual, width, count, now)
      redis.call('PEXPIRE', keys[1], whole(keep))
      local total, epoch, crossed = spent(keys[1], width, count, now), generation(keys[1]), 0
      if epoch >= 0 then
        local reached, before = level(total, given, 6), field(keys[1], 'l')
        if reached ~= before then
          redis.call('HSET', keys[1], 'l', reached)
        end
        if reached > before then
          crossed = reached
        end
      end
      return {total, part, epoch, bucket * 16 + crossed}
    end,
    hold = hold,
    extendable = function(keys, id, amount, limit, width, count, now)
      expire(keys, now)
      local held = redis.call('HGET', keys[1], 'c:' .. id)
      if not held then
        return nil
      end
      return limit < 0 or spent(keys[1], width, count, now) + field(keys[1], 'r') - tonumber(held) + amount <= limit
    end,
    seed = function(keys, args, now)
      local given = numbers(args, 1)
      local epoch, keep, width, count, thresholds = unpack(given)
      if redis.call('HSETNX', keys[1], 'g', whole(epoch)) == 1 then
        for i = 6 + thresholds, #given, 2 do
          if width == 0 then
            redis.call('HINCRBY', keys[1], 's', whole(given[i + 1]))
          else
            redis.call('HINCRBY', keys[1], 's:' .. whole(given[i]), whole(given[i + 1]))
          end
        end
        local marks = {}
        for i = 1, thresholds do
          marks[i] = given[5 + i]
        end
        redis.call('HSET', keys[1], 'l', level(spent(keys[1], width, count, now), marks, 1))
        redis.call('PEXPIRE', keys[1], whole(keep))
      end
      return {generation(keys[1])}
    end,
    read = function(keys, args, now)
      local width, count = unpack(numbers(args, 1))
      expire(keys, now)
      return {spent(keys[1], width, count, now), field(keys[1], 'r'), generation(keys[1]), field(keys[1], 'n')}
    end,
    adopt = function(keys, args, now)
      local given = numbers(args, 1)
      local epoch, width, count, part, total = unpack(given)
      local name = width == 0 and 's' or 's:' .. whole(part)
      local more = total - field(keys[1], name)
      if generation(keys[1]) ~= epoch or more <= 0 then
        return {0}
      end
      redis.call('HINCRBY', keys[1], name, whole(more))
      redis.call('HSET', keys[1], 'l', level(spent(keys[1], width, count, now), given, 6))
      return {more}
    end,
    reset = function(keys, args, now)
      local epoch, keep = unpack(numbers(args, 1))
      local known = generation(keys[1])
      if known < 0 or known >= epoch then
        return {0}
      end
      for _, name in ipairs(redis.call('HKEYS', keys[1])) do
        if name == 's' or name == 'b' or string.sub(name, 1, 2) == 's:' then
          redis.call('HDEL', keys[1], name)
        end
      end
      redis.call('HSET', keys[1], 'g', whole(epoch), 'l', 0)
      redis.call('PEXPIRE', keys[1], whole(keep))
      return {1}
    end,
  }
end)()
