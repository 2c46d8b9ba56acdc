-- The options of setup(): their defaults, and what is wrong with those given.
local M = {}

M.PICKERS = { 'auto', 'select', 'quickfix', 'telescope', 'fzf', 'snacks' }

local DEFAULTS = {
  picker = 'auto', -- auto: snacks, Telescope or fzf-lua when present, else vim.ui.select
  snippet_lines = 8, -- lines of code that come with a hit
  server = {}, -- what vim.lsp.config('modstar', ...) takes; the only way to say it before Neovim 0.11
}

local VALID = {
  picker = function(value)
    return vim.tbl_contains(M.PICKERS, value), 'one of ' .. table.concat(M.PICKERS, ', ')
  end,
  snippet_lines = function(value)
    return type(value) == 'number' and value >= 1 and value <= 50 and value % 1 == 0, 'a whole number from 1 to 50'
  end,
  server = function(value)
    return type(value) == 'table', 'a table as for vim.lsp.config()'
  end,
}

M.options = vim.deepcopy(DEFAULTS)
M.problems = {} ---@type string[] one sentence for each option that was refused

---Take over `given`; an option that does not fit is told once and left as it was.
---@param given? table
function M.apply(given)
  M.problems = {}
  if given ~= nil and type(given) ~= 'table' then
    M.problems = { 'setup() takes a table of options' }
    given = nil
  end
  for name, value in pairs(given or {}) do
    local valid = VALID[name]
    if not valid then
      local known = vim.tbl_keys(DEFAULTS)
      table.sort(known)
      table.insert(M.problems, ('%s is no option; there are: %s'):format(tostring(name), table.concat(known, ', ')))
    else
      local fits, expected = valid(value)
      if fits then
        M.options[name] = value
      else
        table.insert(M.problems, ('option %s must be %s, not %s'):format(name, expected, vim.inspect(value)))
      end
    end
  end
  table.sort(M.problems)
  if #M.problems > 0 then
    vim.notify('modstar: ' .. table.concat(M.problems, '; '), vim.log.levels.WARN)
  end
end

return M
