-- A thin stand-in for ibhagwan/fzf-lua: it keeps what a picker was made of, in `opened`.
local function shown()
  return vim.tbl_map(function(line)
    local place = line:sub(select(2, line:find('\226\128\130', 1, true)) + 1)
    local file, lnum, col = place:match('^(.-):(%d+):(%d+):')
    return { text = line, file = vim.fn.fnamemodify(file, ':p'), lnum = tonumber(lnum), col = tonumber(col) }
  end, opened.lines)
end

return {
  actions = {},
  fzf_exec = function(lines, options)
    opened = { lines = lines, options = options, shown = shown, complete = true }
  end,
  fzf_live = function(contents, options)
    opened = { lines = {}, options = options, shown = shown }
    opened.type = function(typed)
      local lines = {} -- each run of the contents has a pipe of its own
      opened.lines, opened.complete = lines, false
      contents({ typed })(function(line)
        if line then
          table.insert(lines, line)
        elseif lines == opened.lines then
          opened.complete = true
        end
      end)
    end
  end,
}
