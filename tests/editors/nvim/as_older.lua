-- Has the plugin run as in an older Neovim: it sees a `vim` without the names given, and has() denies the versions.
-- Neovim's own modules see all of it. Returns a function(newer, plugin): names like "vim.fs.root", the plugin's folder.
return function(newer, plugin)
  local hidden = {}
  for _, name in ipairs(newer) do
    hidden[name] = true
  end

  ---The table `real` as the older version has it.
  local function older(real, path)
    return setmetatable({}, {
      __index = function(_, key)
        local name = ('%s.%s'):format(path, key)
        if hidden[name] then
          return nil
        end
        if name == 'vim.fn.has' then
          return function(feature)
            return feature:match('^nvim%-0%.1') and 0 or real.has(feature)
          end
        end
        local value = real[key]
        return (name == 'vim.fs' or name == 'vim.fn' or name == 'vim.lsp') and older(value, name) or value
      end,
      __newindex = real,
    })
  end

  local environment = setmetatable({ vim = older(vim, 'vim') }, { __index = _G })
  local function load(file)
    return setfenv(assert(loadfile(file)), environment)
  end
  table.insert(package.loaders, 2, function(module)
    local path = module:match('^modstar') and module:gsub('%.', '/')
    for _, file in ipairs(path and { path .. '.lua', path .. '/init.lua' } or {}) do
      file = ('%s/lua/%s'):format(plugin, file)
      if vim.fn.filereadable(file) == 1 then
        return load(file)
      end
    end
  end)
  load(plugin .. '/plugin/modstar.lua')() -- Neovim's own turn comes later, and finds it loaded
end
