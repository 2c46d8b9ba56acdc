-- The quickfix list: stays, and is filled as the answers get better.
local M = {}

---How many entries of the list, from the top, must stay where they are: down to the one that the user has moved to.
local function read_so_far(list)
  local row = list.winid ~= 0 and vim.api.nvim_win_get_cursor(list.winid)[1] or 1
  local at = math.max(list.idx, row)
  return at > 1 and at or 0
end

---A better list in place of one that is being read: what was read so far keeps its place, the rest comes below.
local function keeping_places(list, better)
  local function place(entry)
    local hit = entry.user_data
    return ('%d %s'):format(hit.range.start.line, hit.uri)
  end
  local better_at, kept, taken = {}, {}, {}
  for _, entry in ipairs(better) do
    better_at[place(entry)] = entry
  end
  for row = 1, math.min(read_so_far(list), #list.items) do
    local entry = list.items[row]
    kept[row] = better_at[place(entry)] or entry
    taken[place(entry)] = true
  end
  return vim.list_extend(kept, vim.tbl_filter(function(entry)
    return not taken[place(entry)]
  end, better))
end

---@param shown table remembers the list that is being filled
function M.update(found, shown)
  if #found.items == 0 then
    return
  end
  local entries = vim.tbl_map(function(item)
    return {
      filename = item.filename,
      lnum = item.lnum,
      col = item.col,
      text = item.text,
      user_data = item.hit,
    }
  end, found.items)
  local list = { title = 'modstar: ' .. found.title, items = entries }
  if shown.id then
    local before = vim.fn.getqflist({ id = shown.id, items = 0, idx = 0, winid = 0 })
    list.id, list.idx, list.items = shown.id, before.idx, keeping_places(before, entries)
    local cursor = before.winid ~= 0 and vim.api.nvim_win_get_cursor(before.winid)
    vim.fn.setqflist({}, 'r', list)
    if cursor and cursor[1] <= #list.items then
      vim.api.nvim_win_set_cursor(before.winid, cursor) -- Neovim takes it to the entry of `idx`
    end
  else
    vim.fn.setqflist({}, ' ', list)
    shown.id = vim.fn.getqflist({ id = 0 }).id
    vim.cmd('botright copen')
  end
end

M.show = M.update

return M
