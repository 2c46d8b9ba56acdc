-- Loaded at the end of the init.lua of every test: what a test can look at from outside, and the choices it makes.
vim.o.columns = 160 -- there is no screen to take it from
vim.api.nvim_create_autocmd('VimEnter', {
  callback = function()
    vim.g.probes = 1 -- from now on a test can type and ask
  end,
})

probe = { told = {}, select = nil, choose = nil }

vim.notify = function(text)
  table.insert(probe.told, text)
end

local ask = vim.ui.select
probe.built_in_select = ask
vim.ui.select = function(items, options, callback)
  probe.select = { prompt = options.prompt, kind = options.kind, lines = vim.tbl_map(options.format_item, items) }
  if probe.choose == 'the built-in list' then
    return ask(items, options, callback)
  end
  callback(items[probe.choose], probe.choose)
end

---Run the chunk in `call`, a JSON list of it and its arguments, and return its answer as JSON.
function probe.eval(call)
  local body, arguments = unpack(vim.json.decode(call))
  return vim.json.encode({ assert(loadstring('local arguments = ...; ' .. body))(arguments) })
end

---Has some server indexed all of its folders?
function probe.ready()
  for _, status in pairs(require('modstar.client').statuses) do
    for _, folder in ipairs(status.folders) do
      if folder.coverage.state == 'ready' or folder.coverage.state == 'deepening' then
        return true
      end
    end
  end
end

function probe.told_with(part)
  for _, text in ipairs(probe.told) do
    if text:find(part, 1, true) then
      return text
    end
  end
end

function probe.quickfix()
  return vim.tbl_map(function(entry)
    return {
      name = vim.api.nvim_buf_get_name(entry.bufnr),
      lnum = entry.lnum,
      col = entry.col,
      text = entry.text,
      rank = type(entry.user_data) == 'table' and entry.user_data.rank or nil,
    }
  end, vim.fn.getqflist())
end

---Write the lines of the built-in list to `path` when it is shown.
function probe.note_list(path)
  local show = vim.fn.inputlist
  vim.fn.inputlist = function(lines)
    vim.fn.writefile(lines, path)
    return show(lines)
  end
end

---The whole report of :checkhealth once it is there.
function probe.report()
  local text = table.concat(vim.fn.getline(1, '$'), '\n')
  return text:find('modstar: running', 1, true) and text or nil
end

function probe.set_lines(text)
  vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.split(text, '\n'))
end
