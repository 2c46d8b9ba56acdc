-- Telescope (nvim-telescope/telescope.nvim): in rank order, with its preview, or searching while you type.
local hits = require('modstar.hits')

local M = {}

local DEBOUNCE = 60 -- ms of quiet before what was typed is asked

function M.present()
  return (pcall(require, 'telescope.pickers'))
end

local function entries(items)
  local rows = hits.columns(items)
  local made = {}
  for rank, item in ipairs(items) do
    local row = rows[rank]
    made[rank] = {
      value = item,
      ordinal = ('%s %s %s'):format(row.place, row.label, row.code),
      display = function()
        local text = ('%s  %s  %s  %s'):format(row.score, row.place, row.label, row.code)
        local place_start = #row.score + 2
        local label_start = place_start + #row.place + 2
        return text, {
          { { 0, #row.score }, 'TelescopeResultsNumber' },
          { { place_start, place_start + #row.place }, 'TelescopeResultsComment' },
          { { label_start, label_start + #row.label }, 'TelescopeResultsFunction' },
        }
      end,
      filename = item.filename,
      lnum = item.lnum,
      lnend = item.end_lnum,
      col = item.col,
      text = item.text,
    }
  end
  return made
end

local function open(title, finder, sorter, options)
  local values = require('telescope.config').values
  options = vim.tbl_extend('keep', options or {}, { debounce = DEBOUNCE })
  require('telescope.pickers')
    .new(options, {
      prompt_title = title,
      finder = finder,
      sorter = sorter,
      previewer = values.grep_previewer(options),
    })
    :find()
end

---@param options? table as for any Telescope picker
function M.show(found, _, options)
  local finder = require('telescope.finders').new_table({
    results = entries(found.items),
    entry_maker = function(entry)
      return entry
    end,
  })
  open(found.title, finder, require('telescope.config').values.generic_sorter(options or {}), options)
end

---@param options? table as for any Telescope picker
function M.live(title, ask, options)
  local cancel
  local function stop()
    if cancel then
      cancel()
      cancel = nil
    end
  end
  local finder = setmetatable({ close = stop }, {
    __call = function(_, typed, process_result, process_complete)
      stop()
      if vim.trim(typed) == '' then
        return process_complete()
      end
      cancel = ask(typed, function(found)
        for rank, entry in ipairs(entries(found.items)) do
          entry.index = rank
          if process_result(entry) then
            return
          end
        end
        process_complete()
      end)
    end,
  })
  -- A sorter that only marks what was typed: the server's order stays.
  open(title, finder, require('telescope.sorters').highlighter_only(options or {}), options)
end

return M
