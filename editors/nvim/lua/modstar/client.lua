-- The one place that knows Neovim's LSP client: finds or starts the server, sends requests, keeps its last status.
-- Written for Neovim 0.11; what 0.9 and 0.10 do differently is decided here and nowhere else.
local config = require('modstar.config')

local M = {}

local NAME = 'modstar'
local METHOD_STYLE = vim.fn.has('nvim-0.11') == 1 -- client:request(...) instead of client.request(...)
local READY_POLL = 20 -- ms between two looks whether the server has answered `initialize`
local STOP_WAIT = 2000 -- ms a stopping server gets before it is killed
local CANCELLED = { [-32800] = true, [-32801] = true, [-32802] = true } -- by us, content modified, by the server

---@type table<integer, table> the last status that each server sent, by client id
M.statuses = {}

local partial_results = {} ---@type table<string, fun(value: table)>
local next_token = 0

---@param text string
---@param level? integer
function M.tell(text, level)
  vim.notify('modstar: ' .. text, level or vim.log.levels.INFO)
end

local function call(client, method, ...)
  if METHOD_STYLE then
    return client[method](client, ...)
  end
  return client[method](...)
end

---Every running modstar server.
function M.all()
  return vim.tbl_filter(function(client)
    return not call(client, 'is_stopped')
  end, (vim.lsp.get_clients or vim.lsp.get_active_clients)({ name = NAME }))
end

---The server's configuration as the user left it.
---@return table
function M.configuration()
  if vim.lsp.config then
    return vim.lsp.config[NAME] or {}
  end
  local file = assert(vim.api.nvim_get_runtime_file('lsp/modstar.lua', false)[1], 'lsp/modstar.lua is not on the runtimepath')
  return vim.tbl_deep_extend('force', { name = NAME }, dofile(file), config.options.server)
end

---What to tell when the server is not there, else nil.
---@param cmd any
---@return string?
function M.missing(cmd)
  if type(cmd) ~= 'table' or vim.fn.executable(cmd[1]) == 1 then
    return nil
  end
  return ("%s is not installed: run `pip install ~/src/modstar`, or set cmd as `:h modstar-server` shows"):format(cmd[1])
end

---The nearest folder above `path` with a root marker; never the home folder or the root of the disk.
---@param path string a file or a folder
---@return string?
function M.project(path)
  local markers = M.configuration().root_markers or {}
  local root
  if vim.fs.root then
    root = vim.fs.root(path, markers)
  else
    local folder = vim.fn.isdirectory(path) == 1 and path or vim.fs.dirname(path)
    local found = vim.fs.find(markers, { path = folder, upward = true })[1]
    root = found and vim.fs.dirname(found)
  end
  return root and not M.too_much(root) and root or nil
end

---Is `folder` more than anyone means to index?
function M.too_much(folder)
  folder = vim.fs.normalize(folder)
  return folder == vim.fs.normalize('~') or folder == vim.fs.dirname(folder)
end

---Tell once that the server is missing; true when it is.
function M.tell_missing()
  local missing = M.missing(M.configuration().cmd)
  if missing then
    vim.notify_once('modstar: ' .. missing, vim.log.levels.WARN)
  end
  return missing ~= nil
end

---`root_dir` of lsp/modstar.lua: start for files of a project, and not at all without a server.
function M.root_dir(buffer, on_dir)
  if M.tell_missing() then
    return
  end
  local name = vim.api.nvim_buf_get_name(buffer)
  local root = name ~= '' and M.project(name)
  if root then
    on_dir(root)
  end
end

local function is_below(path, folder)
  path, folder = vim.fs.normalize(path), vim.fs.normalize(folder)
  return path == folder or path:sub(1, #folder + 1) == folder .. '/'
end

local function is_file(buffer)
  return vim.api.nvim_buf_is_loaded(buffer)
    and vim.bo[buffer].buftype == ''
    and vim.api.nvim_buf_get_name(buffer) ~= ''
end

---The folder that a search from `buffer` is about: the buffer's project, else that of the working directory.
local function searched_root(buffer)
  local cwd = vim.fn.getcwd()
  return is_file(buffer) and M.project(vim.api.nvim_buf_get_name(buffer))
    or M.project(cwd)
    or not M.too_much(cwd) and cwd
    or nil
end

---The server in charge of `buffer`, else the one for the working directory, else the only one.
---@param buffer? integer
function M.find(buffer)
  buffer = buffer or vim.api.nvim_get_current_buf()
  local all = M.all()
  for _, client in ipairs(all) do
    if vim.lsp.buf_is_attached(buffer, client.id) then
      return client
    end
  end
  local place = is_file(buffer) and vim.api.nvim_buf_get_name(buffer) or vim.fn.getcwd()
  for _, client in ipairs(all) do
    if client.config.root_dir and is_below(place, client.config.root_dir) then
      return client
    end
  end
  return not is_file(buffer) and #all == 1 and all[1] or nil
end

---Start a server for `root` and give it the open files of that folder.
---@return integer? client id
local function start(root)
  local settings = vim.deepcopy(M.configuration())
  settings.name, settings.root_dir = NAME, root
  local missing = M.missing(settings.cmd)
  if missing then
    M.tell(missing, vim.log.levels.ERROR)
    return nil
  end
  local id
  if METHOD_STYLE then
    id = vim.lsp.start(settings, { attach = false, reuse_client = settings.reuse_client })
  else
    id = vim.lsp.start_client(settings)
  end
  for _, buffer in ipairs(id and vim.api.nvim_list_bufs() or {}) do
    if is_file(buffer) and is_below(vim.api.nvim_buf_get_name(buffer), root) then
      vim.lsp.buf_attach_client(buffer, id)
    end
  end
  return id
end

local function when_ready(client, callback)
  if call(client, 'is_stopped') then
    local file = require('vim.lsp.log').get_filename()
    return M.tell('the server ended at its start; its last words are in ' .. file, vim.log.levels.ERROR)
  end
  if client.initialized then
    return callback(client)
  end
  vim.defer_fn(function()
    when_ready(client, callback)
  end, READY_POLL)
end

---Call back with a server that answers, starting one when there is none.
---@param callback fun(client: table)
function M.ensure(callback)
  local buffer = vim.api.nvim_get_current_buf()
  local client = M.find(buffer)
  if not client then
    local root = searched_root(buffer)
    if not root then
      return M.tell('no project here: open a file of one, or :cd to its folder', vim.log.levels.ERROR)
    end
    local id = start(root)
    client = id and vim.lsp.get_client_by_id(id)
  end
  if client then
    if is_file(buffer) and is_below(vim.api.nvim_buf_get_name(buffer), client.config.root_dir or '') then
      vim.lsp.buf_attach_client(buffer, client.id) -- does nothing when it is attached
    end
    when_ready(client, callback)
  end
end

---Start a server for `buffer`'s project; what vim.lsp.enable() does, for older versions.
function M.attach(buffer)
  if not is_file(buffer) then
    return
  end
  M.root_dir(buffer, function(root)
    for _, client in ipairs(M.all()) do
      if client.config.root_dir == root then
        return vim.lsp.buf_attach_client(buffer, client.id)
      end
    end
    start(root)
  end)
end

---Send a request.
---@param client table
---@param method string
---@param params table
---@param callback fun(result?: table) without a result after a failure, which has been told by then
---@param on_partial? fun(value: table) gets each better list that comes before the result
---@return fun() cancel
function M.request(client, method, params, callback, on_partial)
  local token, cancelled, answered
  if on_partial then
    next_token = next_token + 1
    token = ('modstar-nvim-%d'):format(next_token)
    partial_results[token] = on_partial
    params = vim.tbl_extend('error', params, { partialResultToken = token })
  end
  local sent, id = call(client, 'request', method, params, function(failure, result)
    answered = true
    if token then
      partial_results[token] = nil
    end
    if failure and not CANCELLED[failure.code] then
      M.tell(failure.message, vim.log.levels.ERROR)
    end
    -- An answer that crossed its cancellation is none.
    callback(not failure and not cancelled and (result or {}) or nil)
  end) -- no buffer is named: then the changes of all of them are sent first
  if not sent then
    M.tell('the server has ended; :Modstar restart starts it again', vim.log.levels.ERROR)
    callback(nil)
  end
  return function()
    cancelled = true
    if token then
      partial_results[token] = nil
    end
    if sent and not answered and not call(client, 'is_stopped') then
      call(client, 'cancel_request', id)
    end
  end
end

---Ask and wait for the answer, for :checkhealth.
---@return table? result, string? failure
function M.request_now(client, method, params, timeout)
  local answer, failure = call(client, 'request_sync', method, params, timeout)
  if not answer then
    return nil, failure
  end
  return answer.result, answer.err and answer.err.message
end

local function on_progress(failure, params, ...)
  local on_partial = params and partial_results[params.token]
  if on_partial then
    return on_partial(params.value)
  end
  return vim.lsp.handlers['$/progress'](failure, params, ...)
end

local function on_status(_, status, context)
  M.statuses[context.client_id] = status
  vim.api.nvim_exec_autocmds('User', { pattern = 'ModstarStatus', modeline = false })
  vim.cmd.redrawstatus({ bang = true })
end

M.handlers = {
  ['$/progress'] = on_progress,
  ['modstar/statusChanged'] = on_status,
}

local function stop(client, force)
  M.statuses[client.id] = nil
  call(client, 'stop', force)
end

---Stop every server and start them again for the same folders.
function M.restart()
  local stopping = M.all()
  if #stopping == 0 then
    return M.ensure(function() end)
  end
  local roots = {}
  for _, client in ipairs(stopping) do
    roots[client.config.root_dir] = true
    stop(client, false)
  end
  local function start_again(waited)
    local alive = vim.tbl_filter(function(client)
      return not call(client, 'is_stopped')
    end, stopping)
    if #alive > 0 then
      for _, client in ipairs(waited == STOP_WAIT and alive or {}) do
        stop(client, true)
      end
      return vim.defer_fn(function()
        start_again(waited + READY_POLL)
      end, READY_POLL)
    end
    for root in pairs(roots) do
      start(root)
    end
  end
  start_again(0)
end

return M
