-- A thin stand-in for folke/snacks.nvim: it keeps what a picker was made of, in `opened`.
local function run(picker, typed)
  if picker.abort then
    picker.abort() -- as the real one does with a task that is out of date
  end
  local handlers = {}
  local out_of_date = false
  local resumed = false
  local found = {}
  picker.found, picker.complete = found, false
  local task
  task = coroutine.create(function()
    local made = picker.finder(picker, {
      filter = { search = typed },
      async = {
        on = function(_, event, handler)
          handlers[event] = handler
        end,
        suspend = function()
          if not resumed then
            coroutine.yield()
          end
        end,
        resume = function()
          resumed = true
          if not out_of_date and coroutine.status(task) == 'suspended' then
            assert(coroutine.resume(task))
          end
        end,
      },
    })
    if type(made) == 'function' then
      made(function(item)
        table.insert(found, item)
      end)
    else
      picker.found = made
    end
    picker.complete = not out_of_date
  end)
  picker.abort = function()
    out_of_date = true
    if handlers.abort then
      handlers.abort()
    end
  end
  assert(coroutine.resume(task))
end

return {
  picker = {
    pick = function(options)
      opened = options
      opened.type = function(typed)
        run(opened, typed)
      end
      opened.found, opened.complete = options.items or {}, options.items ~= nil
      opened.shown = function()
        return vim.tbl_map(function(item)
          local text = table.concat(vim.tbl_map(function(part)
            return part[1]
          end, options.format(item)))
          return { text = text, file = item.file, lnum = item.pos[1], col = item.pos[2] + 1 }
        end, opened.found)
      end
    end,
  },
}
