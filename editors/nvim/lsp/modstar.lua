-- The language server's configuration: Neovim 0.11 and newer find it here, `vim.lsp.enable('modstar')` starts it.
-- Change any part with `vim.lsp.config('modstar', { ... })`. Older versions: `require('modstar').enable()`.
local client = require('modstar.client')

return {
  cmd = { 'modstar-lsp' },
  -- No filetypes: any text file of a project can be searched.
  root_dir = client.root_dir,
  root_markers = { '.git', '.hg', '.svn', '.jj' }, -- where root_dir looks, the nearest folder wins
  workspace_required = true,
  init_options = { showSimilar = 'client' }, -- code actions and lenses open our pickers
  handlers = client.handlers,
  settings = { modstar = vim.empty_dict() },
}
