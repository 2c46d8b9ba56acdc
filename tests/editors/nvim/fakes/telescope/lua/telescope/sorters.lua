return {
  highlighter_only = function()
    return 'highlighter_only'
  end,
}
