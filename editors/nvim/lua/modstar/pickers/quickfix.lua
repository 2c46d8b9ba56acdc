-- The quickfix list: stays, and is filled as the answers get better.
local M = {}

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
  local list = { title = 'modstar: ' .. found.title, items = entries, id = shown.id }
  vim.fn.setqflist({}, shown.id and 'r' or ' ', list)
  if not shown.id then
    shown.id = vim.fn.getqflist({ id = 0 }).id
    vim.cmd('botright copen')
  end
end

M.show = M.update

return M
