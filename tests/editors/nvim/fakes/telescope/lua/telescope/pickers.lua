local function run(picker, typed)
  local entries = {} -- of this run; those of one before are out of date
  picker.entries, picker.complete = entries, false
  picker.finder(typed, function(entry)
    table.insert(entries, entry)
    return entries ~= picker.entries
  end, function()
    picker.complete = entries == picker.entries
  end)
end

return {
  new = function(_, fields)
    return {
      find = function()
        opened = fields
        opened.type = function(typed)
          run(opened, typed)
        end
        -- What the picker shows, and where it would lead.
        opened.shown = function()
          return vim.tbl_map(function(entry)
            return { text = (entry.display(entry)), file = entry.filename, lnum = entry.lnum, col = entry.col }
          end, opened.entries)
        end
        run(opened, '')
      end,
    }
  end,
}
