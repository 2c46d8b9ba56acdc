-- modstar: search code by meaning. What a user's configuration may call.
local client = require('modstar.client')
local config = require('modstar.config')
local hits = require('modstar.hits')

local M = {}

---Optional: only for options other than the defaults, see |modstar-setup|.
---@param options? { picker?: string, snippet_lines?: integer, server?: table }
function M.setup(options)
  config.apply(options)
  if vim.lsp.config and next(config.options.server) then
    vim.lsp.config('modstar', config.options.server)
  end
end

---Start the server for every file of a project, as vim.lsp.enable('modstar') does on Neovim 0.11 and newer.
function M.enable()
  if vim.lsp.enable then
    return vim.lsp.enable('modstar')
  end
  vim.api.nvim_create_autocmd({ 'BufReadPost', 'BufNewFile' }, {
    group = vim.api.nvim_create_augroup('modstar', {}),
    callback = function(event)
      client.attach(event.buf)
    end,
  })
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    client.attach(buffer)
  end
end

local FILTERS = { 'limit', 'languages', 'globs', 'folders', 'minScore', 'budget' }

local function request_params(fields, options)
  local params = vim.tbl_extend('error', fields, { snippetLines = config.options.snippet_lines })
  for _, name in ipairs(FILTERS) do
    params[name] = options[name]
  end
  return params
end

---Ask for hits and show them with the picker in force.
local function show(method, what, options, params_for)
  client.ensure(function(server)
    local params = params_for(server)
    if not params then
      return
    end
    local function answer(result)
      return hits.answer(result, what, server.offset_encoding)
    end
    local picker = require('modstar.pickers').get(options.picker)
    local shown = picker.update and {} -- what a picker that can be filled piece by piece keeps in between
    client.request(server, method, request_params(params, options), function(result)
      local found = result and answer(result)
      if found and #found.items == 0 then
        client.tell(found.message ~= '' and found.message or ('nothing found for ' .. what))
      elseif found then
        picker.show(found, shown)
      end
    end, shown and function(result)
      picker.update(answer(result), shown)
    end)
  end)
end

---Search by a sentence or a name. Without a query: a picker that searches while you type, or a prompt.
---@param query? string
---@param options? { picker?: string, limit?: integer, languages?: string[], globs?: string[], folders?: string[], minScore?: number, budget?: integer }
function M.search(query, options)
  options = options or {}
  if query and vim.trim(query) ~= '' then
    return show('modstar/search', query, options, function()
      return { query = query }
    end)
  end
  local picker = require('modstar.pickers').get(options.picker)
  if not picker.live then
    return vim.ui.input({ prompt = 'Search code by meaning: ' }, function(typed)
      if typed and vim.trim(typed) ~= '' then
        M.search(typed, options)
      end
    end)
  end
  client.ensure(function(server)
    picker.live('Search code by meaning', function(typed, callback)
      return client.request(server, 'modstar/search', request_params({ query = typed }, options), function(result)
        callback(hits.answer(result or {}, typed, server.offset_encoding))
      end)
    end)
  end)
end

local function selected(buffer, first, last, server)
  local length = #vim.api.nvim_buf_get_lines(buffer, last - 1, last, true)[1]
  local start, finish = { first, 0 }, { last, length }
  return vim.lsp.util.make_given_range_params(start, finish, buffer, server.offset_encoding).range
end

---Code like some other: the lines given, a range of a file, or the definition at the cursor.
---@param options? { lines?: {[1]: integer, [2]: integer}, uri?: string, range?: table, picker?: string, limit?: integer }
function M.similar(options)
  options = options or {}
  local buffer, window = vim.api.nvim_get_current_buf(), vim.api.nvim_get_current_win()
  local first, last = unpack(options.lines or {})
  show('modstar/similar', 'similar code', options, function(server)
    if options.uri then
      return { textDocument = { uri = options.uri }, range = options.range }
    end
    if not vim.lsp.buf_is_attached(buffer, server.id) then
      if not first then
        return client.tell('this buffer is no file of the project: select the lines to compare', vim.log.levels.WARN)
      end
      local text = vim.api.nvim_buf_get_lines(buffer, first - 1, last, false)
      return { text = table.concat(text, '\n') }
    end
    local document = { uri = vim.uri_from_bufnr(buffer) }
    if first then
      return { textDocument = document, range = selected(buffer, first, last, server) }
    end
    local here = vim.lsp.util.make_position_params(window, server.offset_encoding)
    return { textDocument = document, position = here.position }
  end)
end

---What the statusline can show about the current buffer's server: "" without one.
---@return string
function M.statusline()
  local server = client.find()
  return server and require('modstar.status').short(client.statuses[server.id]) or ''
end

return M
