-- Which picker shows the hits. A picker is a table with
--   show(found, shown)     open it on found.items, in their order
--   update(found, shown)   optional: show a list that a better one will replace; `shown` is a table to remember it in
--   live(title, ask)       optional: search while typing; ask(text, callback(found)) returns a function that cancels
--   present()              optional: is what it needs installed?
local config = require('modstar.config')

local M = {}

local AUTO = { 'snacks', 'telescope', 'fzf' } -- the first that is present, else vim.ui.select

local function load(name)
  local picker = require('modstar.pickers.' .. name)
  return (not picker.present or picker.present()) and picker or nil
end

---The name of the picker that `wanted` leads to here.
---@param wanted? string
---@return string name, string? problem
function M.resolve(wanted)
  wanted = wanted or config.options.picker
  if wanted == 'auto' then
    for _, name in ipairs(AUTO) do
      if load(name) then
        return name
      end
    end
    return 'select'
  end
  if not vim.tbl_contains(config.PICKERS, wanted) then
    return 'select', ('there is no picker %s; there are: %s'):format(wanted, table.concat(config.PICKERS, ', '))
  elseif not load(wanted) then
    return 'select', ('the picker %s is not installed'):format(wanted)
  end
  return wanted
end

---@param wanted? string
function M.get(wanted)
  local name, problem = M.resolve(wanted)
  if problem then
    vim.notify_once('modstar: ' .. problem .. ', vim.ui.select is used', vim.log.levels.WARN)
  end
  return load(name)
end

return M
