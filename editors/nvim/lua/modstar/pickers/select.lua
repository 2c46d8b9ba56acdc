-- vim.ui.select: always there, and whatever the user has put in its place.
local hits = require('modstar.hits')

local M = {}

local FURNITURE = 4 -- lines of the screen that the built-in list needs besides its choices
local MORE = {} -- the choice that leads on
local MARGIN = 8 -- columns for the numbers that the built-in list puts before its lines

local function fit(line)
  local room = math.max(vim.o.columns - MARGIN, 40)
  if vim.fn.strdisplaywidth(line) <= room then
    return line
  end
  return vim.fn.strcharpart(line, 0, room - 1) .. '…'
end

---Neovim's own list, which stops with "-- More --" where it is longer than the screen; what took its place scrolls.
local function is_built_in()
  return debug.getinfo(vim.ui.select, 'S').source:match('vim/ui%.lua$') ~= nil
end

---The hits from `first` on, as many as fit.
local function page(found, line_of, first)
  local room = is_built_in() and math.max(vim.o.lines - FURNITURE, 1) or #found.items
  local last = math.min(first + room - 1, #found.items)
  local choices = vim.list_slice(found.items, first, last)
  if last < #found.items then
    choices[#choices + 1] = MORE
  end
  vim.ui.select(choices, {
    prompt = found.title,
    kind = 'modstar',
    format_item = function(item)
      return item == MORE and ('%d more ...'):format(#found.items - last) or line_of[item]
    end,
  }, function(item)
    if item == MORE then
      page(found, line_of, last + 1)
    elseif item then
      hits.open(item)
    end
  end)
end

function M.show(found)
  local line_of = {}
  for rank, line in ipairs(hits.lines(found.items)) do
    line_of[found.items[rank]] = fit(line)
  end
  page(found, line_of, 1)
end

return M
