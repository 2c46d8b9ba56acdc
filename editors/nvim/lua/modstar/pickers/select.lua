-- vim.ui.select: always there, and whatever the user has put in its place.
local hits = require('modstar.hits')

local M = {}

local MARGIN = 8 -- columns for the numbers that the built-in list puts before its lines

local function fit(line)
  local room = math.max(vim.o.columns - MARGIN, 40)
  if vim.fn.strdisplaywidth(line) <= room then
    return line
  end
  return vim.fn.strcharpart(line, 0, room - 1) .. '…'
end

function M.show(found)
  local line_of = {}
  for rank, line in ipairs(hits.lines(found.items)) do
    line_of[found.items[rank]] = fit(line)
  end
  vim.ui.select(found.items, {
    prompt = found.title,
    kind = 'modstar',
    format_item = function(item)
      return line_of[item]
    end,
  }, function(item)
    if item then
      hits.open(item)
    end
  end)
end

return M
