-- :Modstar and its subcommands.
local client = require('modstar.client')

local M = {}

local function on_server(command, done)
  return function()
    client.ensure(function(server)
      client.request(server, 'workspace/executeCommand', { command = 'modstar.' .. command }, function(result)
        if result then
          client.tell(done)
        end
      end)
    end)
  end
end

local SUBCOMMANDS = {
  search = function(command, text)
    require('modstar').search(text)
  end,
  similar = function(command)
    local lines = command.range > 0 and { command.line1, command.line2 } or nil
    require('modstar').similar({ lines = lines })
  end,
  status = function()
    client.ensure(function(server)
      client.request(server, 'modstar/status', vim.empty_dict(), function(status)
        if status then
          local lines = table.concat(require('modstar.status').lines(status), '\n')
          client.tell((lines:gsub('^modstar ', '')))
        end
      end)
    end)
  end,
  pause = on_server('pause', 'indexing is paused; :Modstar resume goes on with it'),
  resume = on_server('resume', 'indexing goes on'),
  reindex = on_server('reindex', 'indexing anew'),
  clear = on_server('clear', 'the index is deleted, and indexing paused; :Modstar resume makes it anew'),
  restart = function()
    client.restart()
  end,
}

---@param command table as nvim_create_user_command() hands it over
function M.run(command)
  local name, text = command.args:match('^(%S*)%s*(.*)$')
  local run = SUBCOMMANDS[name == '' and 'search' or name]
  if not run then
    return client.tell(
      ('there is no :Modstar %s; there are: %s'):format(name, table.concat(M.complete('', 'Modstar '), ', ')),
      vim.log.levels.ERROR
    )
  end
  run(command, text)
end

---@param lead string what stands before the cursor in the current word
---@param line string the command line
---@return string[]
function M.complete(lead, line)
  if line:match('Modstar%s+%S+%s') then
    return {} -- after the subcommand comes free text
  end
  local names = vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, vim.tbl_keys(SUBCOMMANDS))
  table.sort(names)
  return names
end

return M
