"""
What Redis does by itself, in one step: keep a message and publish it, and read on.

A room's history is a stream, and beside it stands its last id, which stays for longer. Each entry has the
message (``m``) and the id of the one before (``p``): what follows an id without a gap names it.
"""

from __future__ import annotations

import hashlib

__all__ = ["READ", "WRITE", "WRITE_SHA"]

#: KEYS: the stream, its last id, the last number of who publishes. ARGV: that number, "1" if it was refused
#: before and is no repetition, the parcel, the channel, most messages, most milliseconds or "", and
#: milliseconds after which the stream, its last id, and the number expire.
WRITE = """
local seen = redis.call('GET', KEYS[3])
if ARGV[2] ~= '1' and seen and tonumber(seen) >= tonumber(ARGV[1]) then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('GET', KEYS[2])
local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local ms, seq = now, 0
for _, id in ipairs({last or '0-0', tail[1] and tail[1][1] or '0-0'}) do
  local id_ms, id_seq = string.match(id, '^(%d+)-(%d+)$')
  id_ms, id_seq = tonumber(id_ms), tonumber(id_seq)
  if id_ms > ms or (id_ms == ms and id_seq >= seq) then ms, seq = id_ms, id_seq + 1 end
end
local id = string.format('%.0f-%.0f', ms, seq)
if ARGV[6] == '' then
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[5], id, 'm', ARGV[3], 'p', last or '')
else
  local oldest = string.format('%.0f', now - ARGV[6])
  redis.call('XADD', KEYS[1], 'MINID', oldest, id, 'm', ARGV[3], 'p', last or '')
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[5])
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('SET', KEYS[2], id, 'PX', ARGV[8])
if not seen or tonumber(seen) < tonumber(ARGV[1]) then redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[9]) end
redis.call('PUBLISH', ARGV[4], '\\2' .. string.char(#id) .. id .. ARGV[3])
return id
"""
WRITE_SHA = hashlib.sha1(WRITE.encode()).hexdigest()

#: KEYS: the stream, its last id. ARGV: the id behind which to begin, "-" for the beginning, "" to read
#: nothing; most messages, most bytes, most milliseconds or "", milliseconds after which the last id expires,
#: and "1" to read the last messages, from the end. Returns the last id, the entries, and whether that is all.
READ = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[4] ~= '' then redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', now - ARGV[4])) end
local last = redis.call('GET', KEYS[2])
if not last then
  local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  last = tail[1] and tail[1][1] or string.format('%.0f-0', now - 1)
  redis.call('SET', KEYS[2], last, 'PX', ARGV[5])
end
local found, size, most = {}, 0, tonumber(ARGV[2])
if ARGV[1] == '' then return {last, found, 1} end
local low, high = '(' .. ARGV[1], '+'
if ARGV[1] == '-' then low = '-' end
while true do
  local some
  if ARGV[6] == '1' then some = redis.call('XREVRANGE', KEYS[1], high, low, 'COUNT', 16)
  else some = redis.call('XRANGE', KEYS[1], low, high, 'COUNT', 16) end
  for _, entry in ipairs(some) do
    if #found >= most or size >= tonumber(ARGV[3]) then return {last, found, 0} end
    found[#found + 1] = entry
    size = size + #(entry[2][2] or '')
    if ARGV[6] == '1' then high = '(' .. entry[1] else low = '(' .. entry[1] end
  end
  if #some < 16 then return {last, found, 1} end
end
"""
