-- :checkhealth modstar
local client = require('modstar.client')
local config = require('modstar.config')
local pickers = require('modstar.pickers')

local M = {}

local health = vim.health
local start = health.start or health.report_start
local ok = health.ok or health.report_ok
local info = health.info or health.report_info
local warn = health.warn or health.report_warn
local failed = health.error or health.report_error

local STATUS_TIMEOUT = 3000 -- ms for a running server to tell how it is

local function message(fields)
  local body = vim.json.encode(vim.tbl_extend('error', { jsonrpc = '2.0' }, fields))
  return ('Content-Length: %d\r\n\r\n%s'):format(#body, body)
end

-- A whole session without a folder: `--version` would answer where the server's own packages are missing.
local SESSION = message({ id = 1, method = 'initialize', params = { processId = vim.NIL, capabilities = vim.empty_dict() } })
  .. message({ method = 'initialized', params = vim.empty_dict() })
  .. message({ id = 2, method = 'shutdown' })
  .. message({ method = 'exit' })

local function check_editor()
  start('modstar: Neovim')
  local version = tostring(vim.version and vim.version() or '')
  if vim.fn.has('nvim-0.11') == 1 then
    ok('Neovim ' .. version)
    local enabled = vim.lsp.is_enabled and vim.lsp.is_enabled('modstar')
    local say = enabled and ok or info
    say(
      enabled and "enabled: vim.lsp.enable('modstar')"
        or "not enabled: add vim.lsp.enable('modstar') to your init.lua, or let :Modstar start the server"
    )
  elseif vim.fn.has('nvim-0.9') == 1 then
    ok("Neovim before 0.11: require('modstar').enable() starts the server")
  else
    failed('Neovim is too old', { 'install Neovim 0.9 or newer, best 0.11 or newer' })
  end
  for _, problem in ipairs(config.problems) do
    warn(problem)
  end
  local name, problem = pickers.resolve()
  if problem then
    warn(problem .. ', vim.ui.select is used')
  else
    info(("picker: %s (option: %s)"):format(name, config.options.picker))
  end
end

local function check_server()
  start('modstar: server')
  local cmd = client.configuration().cmd
  local missing = client.missing(cmd)
  if missing then
    return failed(missing)
  end
  if type(cmd) ~= 'table' then
    return info('cmd is a function')
  end
  local said = vim.fn.system(cmd, SESSION)
  local version = said:match('"serverInfo".-"version"%s*:%s*"([^"]*)"')
  if vim.v.shell_error == 0 and version then
    ok(('%s starts: modstar %s'):format(table.concat(cmd, ' '), version))
  else
    local last = vim.trim(said):match('[^\n]*$')
    failed(('%s does not start: %s'):format(table.concat(cmd, ' '), last ~= '' and last or 'it said nothing'))
  end
end

local function check_running()
  start('modstar: running')
  local all = client.all()
  if #all == 0 then
    return info('no server is running; it starts with the first file of a project or the first :Modstar')
  end
  for _, server in ipairs(all) do
    local status, failure = client.request_now(server, 'modstar/status', vim.empty_dict(), STATUS_TIMEOUT)
    if status then
      for _, line in ipairs(require('modstar.status').lines(status)) do
        local say = line:match('^settings: ') and warn or ok
        say(line)
      end
    else
      warn(('%s: no status: %s'):format(server.config.root_dir, failure or 'no answer'))
    end
  end
end

function M.check()
  check_editor()
  check_server()
  check_running()
end

return M
