return {
  values = {
    generic_sorter = function()
      return 'generic_sorter'
    end,
    grep_previewer = function()
      return 'grep_previewer'
    end,
  },
}
