-- fzf-lua (ibhagwan/fzf-lua): in rank order, with its preview and its own actions, or searching while you type.
local hits = require('modstar.hits')

local M = {}

local SEPARATOR = '\226\128\130' -- what fzf-lua looks for before a `path:line:column:`

function M.present()
  return (pcall(require, 'fzf-lua'))
end

local function lines(items)
  local rows = hits.columns(items)
  local made = {}
  for rank, item in ipairs(items) do
    local row = rows[rank]
    local shown = vim.fn.fnamemodify(item.filename, ':.')
    made[rank] = ('%s  %s%s%s:%d:%d: %s'):format(row.score, row.label, SEPARATOR, shown, item.lnum, item.col, row.code)
  end
  return made
end

local function options(title)
  local fzf = require('fzf-lua')
  return {
    prompt = '> ',
    winopts = { title = (' %s '):format(title) },
    previewer = 'builtin',
    actions = require('fzf-lua.config').globals.actions.files or { enter = fzf.actions.file_edit },
    fzf_opts = { ['--no-sort'] = true, ['--multi'] = true }, -- filtering keeps the server's order
  }
end

function M.show(found)
  require('fzf-lua').fzf_exec(lines(found.items), options(found.title))
end

function M.live(title, ask)
  local cancel
  require('fzf-lua').fzf_live(function(arguments)
    local typed = type(arguments) == 'table' and arguments[1] or arguments
    return function(add)
      if cancel then
        cancel()
      end
      if vim.trim(typed or '') == '' then
        return add(nil)
      end
      cancel = ask(typed, function(found)
        for _, line in ipairs(lines(found.items)) do
          add(line)
        end
        add(nil)
      end)
    end
  end, vim.tbl_extend('error', options(title), { exec_empty_query = false }))
end

return M
