-- snacks.nvim (folke/snacks.nvim): in rank order, with its preview, or searching while you type.
local hits = require('modstar.hits')

local M = {}

function M.present()
  local found, snacks = pcall(require, 'snacks')
  return found and snacks.picker ~= nil and snacks.picker.pick ~= nil
end

local function entries(items)
  local rows = hits.columns(items)
  local made = {}
  for rank, item in ipairs(items) do
    local row = rows[rank]
    made[rank] = {
      text = ('%s %s %s'):format(row.place, row.label, row.code),
      file = item.filename,
      pos = { item.lnum, item.col - 1 },
      row = row,
    }
  end
  return made
end

local function open(title, fields)
  require('snacks').picker.pick(vim.tbl_extend('error', fields, {
    source = 'modstar',
    title = title,
    preview = 'file',
    format = function(item)
      return {
        { item.row.score, 'Number' },
        { '  ' },
        { item.row.place, 'Comment' },
        { '  ' },
        { item.row.label, 'Function' },
        { '  ' },
        { item.row.code },
      }
    end,
    -- Its default order prefers short lines among equals.
    sort = { fields = { 'score:desc', 'idx' } },
    matcher = { sort_empty = false },
  }))
end

function M.show(found)
  open(found.title, { items = entries(found.items) })
end

function M.live(title, ask)
  open(title, {
    live = true,
    supports_live = true,
    finder = function(_, context)
      local typed = context.filter.search
      if vim.trim(typed) == '' then
        return {}
      end
      return function(add)
        local task = context.async
        local found, cancel
        -- This function runs as a task in which Neovim's functions may not be called: they are called outside.
        vim.schedule(function()
          cancel = ask(typed, function(answer)
            found = entries(answer.items)
            task:resume()
          end)
        end)
        task:on('abort', vim.schedule_wrap(function()
          if cancel then
            cancel()
          end
        end))
        if not found then
          task:suspend()
        end
        for _, entry in ipairs(found or {}) do
          add(entry)
        end
      end
    end,
  })
end

return M
