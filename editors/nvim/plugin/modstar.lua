-- The :Modstar command, <Plug> mappings and the commands of code actions. Nothing is loaded before it is used.
if vim.g.loaded_modstar then
  return
end
vim.g.loaded_modstar = true

vim.api.nvim_create_user_command('Modstar', function(command)
  require('modstar.command').run(command)
end, {
  nargs = '*',
  range = true,
  desc = 'Search code by meaning',
  complete = function(lead, line)
    return require('modstar.command').complete(lead, line)
  end,
})

vim.keymap.set('n', '<Plug>(modstar-search)', '<Cmd>Modstar search<CR>', { desc = 'Search code by meaning' })
vim.keymap.set('n', '<Plug>(modstar-similar)', '<Cmd>Modstar similar<CR>', { desc = 'Code like this definition' })
-- With ':' and not <Cmd>: only then are the marks of the selection set.
vim.keymap.set('x', '<Plug>(modstar-similar)', ':Modstar similar<CR>', { desc = 'Code like the selection', silent = true })

if vim.lsp.commands then
  vim.lsp.commands['modstar.client.showSimilar'] = function(command)
    local place = (command.arguments or {})[1] or {}
    require('modstar').similar({ uri = place.uri, range = place.range })
  end
end

-- Neovim itself only logs that the program of an enabled configuration is missing.
vim.api.nvim_create_autocmd('FileType', {
  once = true,
  callback = function()
    if vim.lsp.is_enabled and vim.lsp.is_enabled('modstar') then
      require('modstar.client').tell_missing()
    end
  end,
})
