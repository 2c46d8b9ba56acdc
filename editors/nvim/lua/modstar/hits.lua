-- Hits as the places that quickfix and the pickers show: one item for each hit, in the server's order.
local M = {}

-- Columns at most. A list beside a preview has some 60: the place, which tells most, stands first and keeps its end.
local PLACE_WIDTH = 36
local LABEL_WIDTH = 34

---The column in bytes, from 1. Needs the line's text unless the encoding counts bytes.
local function byte_column(uri, position, encoding)
  if position.character == 0 or encoding == 'utf-8' then
    return position.character + 1
  end
  -- One place at a time: given a list, this function sorts it by file and line, and the ranks would be lost.
  local place = { uri = uri, range = { start = position, ['end'] = position } }
  return vim.lsp.util.locations_to_items({ place }, encoding)[1].col
end

---The line of code that says most: that of the symbol, or the first of the snippet.
local function shown_line(hit)
  local lines = vim.split(hit.snippet and hit.snippet.text or '', '\n', { plain = true })
  local first = hit.snippet and hit.snippet.startLine or 0
  local line = lines[hit.selectionRange.start.line - first + 1]
  return vim.trim(line or lines[1] or '')
end

---@class modstar.Item: a quickfix entry with its hit
---@field filename string
---@field lnum integer
---@field col integer in bytes, from 1
---@field end_lnum integer last line of the hit
---@field text string
---@field hit table as the server sent it
---@field encoding string

---@param hit table
---@param encoding string of positions: utf-8, utf-16 or utf-32
---@return modstar.Item
function M.item(hit, encoding)
  local start, finish = hit.selectionRange.start, hit.range['end']
  local label = hit.symbol ~= '' and hit.symbol or hit.kind
  return {
    filename = vim.uri_to_fname(hit.uri),
    lnum = start.line + 1,
    col = byte_column(hit.uri, start, encoding),
    end_lnum = math.max(finish.character == 0 and finish.line or finish.line + 1, start.line + 1),
    text = ('%.2f %s%s'):format(hit.score, label, hit.unsaved and ' (unsaved)' or ''),
    hit = hit,
    encoding = encoding,
  }
end

---What an answer shows: its items, and a title that says what the server said about them.
---@param answer table result of modstar/search or modstar/similar
---@param what string the question
---@param encoding string
---@return { items: modstar.Item[], title: string, message: string }
function M.answer(answer, what, encoding)
  local hits = answer.hits or {}
  -- Nothing was good enough: the closest is shown, and the message says that it is no good match.
  if #hits == 0 and answer.closest then
    hits = { answer.closest }
  end
  local message = answer.message or ''
  return {
    items = vim.tbl_map(function(hit)
      return M.item(hit, encoding)
    end, hits),
    title = message ~= '' and ('%s (%s)'):format(what, message) or what,
    message = message,
  }
end

local function cut(text, width)
  if vim.fn.strdisplaywidth(text) <= width then
    return text
  end
  return '…' .. vim.fn.strcharpart(text, vim.fn.strchars(text) - width + 1)
end

local function pad(text, width)
  return text .. (' '):rep(width - vim.fn.strdisplaywidth(text))
end

---What each item is called in a list: score, place, symbol and code, in columns.
---@param items modstar.Item[]
---@return { score: string, place: string, label: string, code: string }[]
function M.columns(items)
  local rows, label_width, place_width = {}, 0, 0
  for _, item in ipairs(items) do
    local hit = item.hit
    local row = {
      score = ('%.2f'):format(hit.score),
      label = cut(hit.symbol ~= '' and hit.symbol or ('(%s)'):format(hit.kind), LABEL_WIDTH),
      place = cut(('%s:%d'):format(hit.path, item.lnum), PLACE_WIDTH),
      code = (hit.unsaved and '[unsaved] ' or '') .. shown_line(hit),
    }
    label_width = math.max(label_width, vim.fn.strdisplaywidth(row.label))
    place_width = math.max(place_width, vim.fn.strdisplaywidth(row.place))
    rows[#rows + 1] = row
  end
  for _, row in ipairs(rows) do
    row.label, row.place = pad(row.label, label_width), pad(row.place, place_width)
  end
  return rows
end

---The same as one string each.
---@param items modstar.Item[]
---@return string[]
function M.lines(items)
  return vim.tbl_map(function(row)
    return ('%s  %s  %s  %s'):format(row.score, row.place, row.label, row.code)
  end, M.columns(items))
end

---Go to an item in the current window; the jump list leads back.
---@param item modstar.Item
function M.open(item)
  local place = { uri = item.hit.uri, range = item.hit.selectionRange }
  if vim.lsp.util.show_document then
    vim.lsp.util.show_document(place, item.encoding, { focus = true })
  else
    vim.lsp.util.jump_to_location(place, item.encoding)
  end
  vim.cmd('normal! zz')
end

return M
