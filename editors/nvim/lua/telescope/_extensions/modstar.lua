-- :Telescope modstar            search while typing (or query=...)
-- :Telescope modstar similar    code like the definition at the cursor
local function search(options)
  require('modstar').search(options and options.query, { picker = 'telescope' })
end

return require('telescope').register_extension({
  exports = {
    modstar = search,
    search = search,
    similar = function()
      require('modstar').similar({ picker = 'telescope' })
    end,
  },
})
